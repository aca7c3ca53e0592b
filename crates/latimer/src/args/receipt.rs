//! What `receipt` takes: what is to be done, to which receipts, with which keys.

use std::path::PathBuf;

use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  latimer receipt verify latimer/traffic.jsonl
      no line of the recording was changed, left out or moved
  latimer receipt export latimer/traffic.jsonl --signing-key key.pem -o chain.json
      a receipt of each exchange, sealed one after the other and signed
  latimer receipt verify chain.json --public-key public.pem
      the first receipt that is not as it was sealed, missing, out of order or there twice
  latimer receipt show chain.json

Keys: openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out public.pem

A FILE is a recording (traffic.jsonl, or the directory it is in), an exported chain, or one receipt as
POST /backplane/v1/run answers.";

/// Receipts.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Receipt {
    /// What to do with them.
    #[command(subcommand)]
    pub action: ReceiptAction,
}

/// What can be done with receipts.
#[derive(Debug, Subcommand)]
pub enum ReceiptAction {
    /// Say in a few lines what each run did.
    Show {
        /// The receipts.
        file: PathBuf,
    },
    /// Find out whether all is as it was sealed.
    Verify {
        /// The receipts.
        file: PathBuf,
        /// The key (PEM) that has to have signed every receipt.
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
        /// The seal that has to be the last: without it, what is missing at the end does not show.
        #[arg(long, value_name = "SHA256")]
        head: Option<String>,
    },
    /// Write them as a chain, in the format of the agent backplane.
    Export {
        /// The receipts.
        file: PathBuf,
        /// Where to write it; without this it is printed.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// The ed25519 key (PEM, PKCS#8) to sign them with.
        #[arg(long, value_name = "FILE")]
        signing_key: Option<PathBuf>,
    },
}
