//! Pure analysis of recorded exchanges.
