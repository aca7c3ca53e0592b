//! `latimer translate`: one request or answer from one dialect into another, without a server. What is
//! lost or changed on the way is said on standard error.

use std::fs::File;
use std::io::{Read, stdin};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use latimer_wire::backplane::{
    self, AgentEvent, BackendIdentity, Message, Offered, OrderHead, RunHead, WorkOrder,
};
use latimer_wire::chat::{
    Backend, Lift, LiftOptions, Lower, Profile, Toolbox, lift_request, lower_request,
    push_completion,
};
use latimer_wire::error::ApiError;
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Envelope, Event, Fold, Mend, Request, Response, Sink, unfold};
use latimer_wire::sse::Decoder;

use crate::args::{self, DialectName};
use crate::terminal::print;

/// The longest event that is read.
const EVENT_BYTES: usize = 64 << 20;
const READ_BYTES: usize = 64 << 10;
/// What the ids of an answer are made of.
const ID_STEM: &str = "translated";
/// The id of a work order and of a run that are made here: no UUID of anybody's.
const ID: &str = "00000000-0000-0000-0000-000000000000";

/// Translates what `args` name.
pub fn translate(args: args::Translate) -> Result<ExitCode> {
    let mut notes = Notes::default();
    let done = Translation::new(&args, &mut notes).and_then(|mut translation| {
        let mut input: Box<dyn Read> = match &args.file {
            Some(path) => Box::new(
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?,
            ),
            None => Box::new(stdin().lock()),
        };
        match args.form {
            args::Form { request: true, .. } => translation.request(&all(&mut input, Vec::new())?),
            args::Form { response: true, .. } => translation.whole(&all(&mut input, Vec::new())?),
            args::Form { stream: true, .. } => translation.stream(Vec::new(), &mut input),
            args::Form { .. } => translation.whatever(&mut input),
        }
    });
    for note in notes.list() {
        eprintln!("note: {}: {}", note.code, note.detail);
    }
    done.map(|()| ExitCode::SUCCESS)
}

/// One way from one dialect into another.
struct Translation<'n> {
    from: DialectName,
    to: DialectName,
    profile: Profile,
    envelope: Envelope,
    toolbox: Toolbox,
    offered: Offered,
    model: String,
    notes: &'n mut Notes,
}

impl<'n> Translation<'n> {
    fn new(args: &args::Translate, notes: &'n mut Notes) -> Result<Self> {
        let name = args.profile.as_deref().unwrap_or("generic");
        let profile = Profile::named(name).map_err(|reason| anyhow!("{reason}"))?;
        let asked = match &args.answers {
            None => "{\"input\":\"\"}".to_owned(),
            Some(_) if args.from == DialectName::Responses || args.to != DialectName::Responses => {
                bail!(
                    "`--answers` goes with `--from chat --to responses` or `--from backplane --to \
                     responses`: only there are tools looked up"
                );
            }
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
        };
        let request = Request::parse(&asked).map_err(said)?;
        let backend = Backend { model: None, profile: &profile };
        let toolbox =
            lower_request(&request, &backend, &mut Notes::default()).map_err(said)?.toolbox;
        Ok(Translation {
            from: args.from,
            to: args.to,
            envelope: Envelope::new(&request, &format!("resp_{ID_STEM}"), now()),
            toolbox,
            offered: Offered::of(&request),
            model: request.model().into_owned(),
            profile,
            notes,
        })
    }

    /// Looks at the input and does what fits it.
    fn whatever(&mut self, input: &mut dyn Read) -> Result<()> {
        let mut begun = Vec::new();
        while begun.trim_ascii_start().is_empty() {
            if read_on(input, &mut begun)? == 0 {
                bail!("there is nothing to translate: the input is empty");
            }
        }
        if !begun.trim_ascii_start().starts_with(b"{") {
            return self.stream(begun, input);
        }
        let body = all(input, begun)?;
        if self.from == DialectName::Backplane && Raw::parse(&body).is_err() {
            // Messages as they stand on lines.
            let frames: String = body.lines().map(|line| format!("data: {line}\n\n")).collect();
            return self.stream(frames.into_bytes(), &mut std::io::empty());
        }
        let json = Raw::parse(&body).context("the input is neither JSON nor a stream of events")?;
        let asks = ["messages", "input", "task"].into_iter().any(|key| json.member(key).is_some());
        match asks {
            true => self.request(&body),
            false => self.whole(&body),
        }
    }

    fn request(&mut self, body: &str) -> Result<()> {
        let in_hub = match self.from {
            DialectName::Responses => body.to_owned(),
            DialectName::Chat => {
                lift_request(body, &LiftOptions::default(), self.notes).map_err(said)?.body
            }
            DialectName::Backplane => {
                let order = WorkOrder::parse(body).map_err(said)?;
                backplane::lift_request(&order, self.notes).map_err(said)?
            }
        };
        let request = Request::parse(&in_hub).map_err(said)?;
        if self.from == DialectName::Responses {
            request.check().map_err(said)?;
        }
        let out = match self.to {
            DialectName::Responses => in_hub.clone(),
            DialectName::Chat => {
                let backend = Backend { model: None, profile: &self.profile };
                lower_request(&request, &backend, self.notes).map_err(said)?.body
            }
            DialectName::Backplane => {
                let head = OrderHead { id: ID.to_owned(), ..OrderHead::default() };
                backplane::lower_request(&request, head).to_json()
            }
        };
        print(&(out + "\n"))
    }

    /// A whole answer.
    fn whole(&mut self, body: &str) -> Result<()> {
        let mut fold = Fold::default();
        match self.from {
            DialectName::Chat => {
                let mut lift = self.lift();
                lift.push_whole(body, now(), &mut fold);
                self.notes.extend(lift.notes().clone());
            }
            DialectName::Backplane => {
                let mut lift = self.agent();
                lift.push_whole(body, now(), &mut fold);
                self.notes.extend(lift.notes().clone());
            }
            DialectName::Responses => {
                let response = Response::parse(body).context("the input is not JSON")?;
                unfold(&response, NonZeroUsize::MAX, &mut fold);
            }
        }
        let response = fold.finish();
        match self.to {
            DialectName::Responses => print(&(response.into_json() + "\n")),
            DialectName::Chat => {
                let mut out = String::new();
                push_completion(&mut out, &response, &format!("chatcmpl-{ID_STEM}"), now());
                print(&(out + "\n"))
            }
            DialectName::Backplane => {
                let mut lower = backplane::Lower::new(run());
                unfold(&response, NonZeroUsize::MAX, &mut |event: &Event<'_>| {
                    lower.push(event, now_ms(), &mut |_: &AgentEvent| {});
                });
                print(&(lower.receipt(now_ms()).to_json() + "\n"))
            }
        }
    }

    /// A stream, as it comes. `begun` is what was read of it.
    fn stream(&mut self, begun: Vec<u8>, input: &mut dyn Read) -> Result<()> {
        let mut source = match self.from {
            DialectName::Chat => Source::Chat(Box::new(self.lift())),
            DialectName::Backplane => Source::Backplane(Box::new(self.agent())),
            DialectName::Responses => {
                Source::Responses(Box::new(Mend::new(self.envelope.clone(), ID_STEM)))
            }
        };
        let mut target = Target::new(self.to, &self.model);
        let mut decoder = Decoder::new(EVENT_BYTES);
        let mut piece = begun;
        loop {
            decoder.push(&piece);
            while let Some(frame) = decoder.next()? {
                source.push(&frame.data, frame.event.as_deref(), &mut target);
            }
            target.flush()?;
            piece.clear();
            if read_on(input, &mut piece)? == 0 {
                break;
            }
        }
        source.end(&mut target);
        target.end();
        target.flush()?;
        self.notes.extend(source.notes().clone());
        if let Target::Chat { lower, .. } = &target {
            self.notes.extend(lower.notes().clone());
        }
        Ok(())
    }

    fn lift(&self) -> Lift {
        Lift::new(self.envelope.clone(), ID_STEM)
            .with_tools(self.toolbox.clone())
            .with_think_tags(self.profile.think_tags)
    }

    fn agent(&self) -> backplane::Lift {
        backplane::Lift::new(self.envelope.clone(), ID_STEM).with_tools(self.offered.clone())
    }
}

/// Reads a stream into the hub.
enum Source {
    Chat(Box<Lift>),
    Responses(Box<Mend>),
    Backplane(Box<backplane::Lift>),
}

impl Source {
    fn push(&mut self, data: &str, name: Option<&str>, sink: &mut dyn Sink) {
        match self {
            Source::Chat(lift) => lift.push(data, now(), sink),
            Source::Responses(mend) => mend.push(data, name, sink),
            Source::Backplane(lift) => lift.push(data, now(), sink),
        }
    }

    fn end(&mut self, sink: &mut dyn Sink) {
        match self {
            Source::Chat(lift) => lift.end(now(), sink),
            Source::Responses(mend) => mend.end(sink),
            Source::Backplane(lift) => lift.end(now(), sink),
        }
    }

    fn notes(&self) -> &Notes {
        match self {
            Source::Chat(lift) => lift.notes(),
            Source::Responses(mend) => mend.notes(),
            Source::Backplane(lift) => lift.notes(),
        }
    }
}

/// Writes a stream out of the hub.
enum Target {
    Chat { lower: Box<Lower>, out: String },
    Responses { out: String },
    Backplane { lower: Box<backplane::Lower>, out: String },
}

impl Target {
    fn new(to: DialectName, model: &str) -> Self {
        match to {
            DialectName::Responses => Target::Responses { out: String::new() },
            DialectName::Backplane => {
                let lower = Box::new(backplane::Lower::new(run()));
                Target::Backplane { lower, out: String::new() }
            }
            DialectName::Chat => {
                let id = format!("chatcmpl-{ID_STEM}");
                let lower = Box::new(Lower::new(&id, model, now(), true));
                Target::Chat { lower, out: String::new() }
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        let (Target::Chat { out, .. } | Target::Responses { out } | Target::Backplane { out, .. }) =
            self;
        print(&std::mem::take(out))
    }

    /// Says what follows the last event.
    fn end(&mut self) {
        if let Target::Backplane { lower, out } = self {
            let receipt = Box::new(lower.receipt(now_ms()));
            Message::Final { ref_id: None, receipt }.print_frame(out);
        }
    }
}

impl Sink for Target {
    fn event(&mut self, event: &Event<'_>) {
        match self {
            Target::Chat { lower, out } => lower.push(event, out),
            Target::Responses { out } => event.print_frame(out),
            Target::Backplane { lower, out } => {
                lower.push(event, now_ms(), &mut |event: &AgentEvent| {
                    Message::Event { ref_id: None, event: Box::new(event.clone()) }
                        .print_frame(out);
                })
            }
        }
    }
}

/// Reads what is there, and says how much it was.
fn read_on(input: &mut dyn Read, bytes: &mut Vec<u8>) -> Result<usize> {
    let before = bytes.len();
    bytes.resize(before + READ_BYTES, 0);
    let read = input.read(bytes.get_mut(before..).unwrap_or_default());
    let read = read.context("cannot read the input")?;
    bytes.truncate(before + read);
    Ok(read)
}

/// Reads the rest of the input, after what was read of it.
fn all(input: &mut dyn Read, mut begun: Vec<u8>) -> Result<String> {
    input.read_to_end(&mut begun).context("cannot read the input")?;
    String::from_utf8(begun).context("the input is not UTF-8")
}

fn said(error: ApiError) -> anyhow::Error {
    match error.param {
        Some(param) => anyhow!("{} (at `{param}`)", error.message),
        None => anyhow!("{}", error.message),
    }
}

fn now() -> u64 {
    now_ms() / 1000
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The run that an answer is told as.
fn run() -> RunHead {
    let backend = BackendIdentity { id: "latimer".to_owned(), ..BackendIdentity::default() };
    let (run_id, work_order_id) = (ID.to_owned(), ID.to_owned());
    RunHead { run_id, work_order_id, backend, started_at_ms: now_ms(), ..RunHead::default() }
}
