//! The prompt of a request, and where it begins to differ from the one before. A prompt is what a
//! service's cache works on: instructions, tools, and input, in this order; a cache serves what two
//! prompts have in common at their beginning. In: bodies of requests, any dialect's. Out: [`Prompt`], a
//! copy of these parts as they stand in the body, and the [`Change`] between two of them.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use latimer_wire::json::{Fields, Node, Raw};

use super::facts::{excerpt, name};
use super::{Added, Change};
use crate::content::input;

/// The parts of a prompt, and by what names dialects know each.
const GROUPS: [&[&str]; 3] = [&["instructions", "system"], &["tools"], &["input", "messages"]];
/// Which of them is the conversation.
const INPUT: usize = 2;
/// Members of an item that the model does not read: clients and services draw them anew.
const NOT_READ: &[&str] = &["id", "status", "internal_chat_message_metadata_passthrough"];
/// How much is shown around a change, in bytes: before it, and from it on.
const SHOWN_BYTES: (usize, usize) = (40, 80);
/// How many additions of a request are kept.
const ADDED_MAX: usize = 24;

/// The prompt of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Prompt {
    text: String,
    groups: [Group; 3],
    /// The request only brings what is new: the service has the rest.
    pub(super) continues: bool,
}

#[derive(Debug, Clone, Default)]
struct Group {
    name: &'static str,
    /// It is a list; otherwise one value, which is its only part.
    is_list: bool,
    parts: Vec<Part>,
}

/// A part of a group, with what is asked about each of them.
#[derive(Debug, Clone)]
struct Part {
    /// Where it stands in the text.
    range: Range<usize>,
    speaker: Speaker,
    /// The id of the call whose output it is.
    answers: Option<String>,
}

/// Who says an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    /// The program before the model: system and developer messages.
    Program,
    /// The model, or a tool.
    Other,
}

impl Part {
    fn of(item: Node<'_>, range: Range<usize>) -> Part {
        let fields = Fields::of(item);
        let speaker = match fields.text("role").as_deref() {
            Some("user") => Speaker::User,
            Some("system" | "developer") => Speaker::Program,
            _ if item.is_object() => Speaker::Other,
            _ => Speaker::User,
        };
        let is_output = fields.text("type").is_some_and(|kind| kind.ends_with("_output"));
        let call_id = if is_output { "call_id" } else { "tool_call_id" };
        Part { range, speaker, answers: fields.text(call_id).as_deref().map(name) }
    }
}

/// What two prompts have to do with each other.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Where they begin to differ, unless the later one only adds to the end.
    pub(super) change: Option<Change>,
    /// The parts of the later that the earlier has not.
    added: Vec<(usize, usize)>,
}

impl Prompt {
    /// The prompt in a body; none where there is no input.
    pub(super) fn of(body: &Fields<'_>) -> Option<Prompt> {
        let mut prompt = Prompt {
            continues: body.get("previous_response_id").is_some_and(|id| id.is_string()),
            ..Prompt::default()
        };
        for (group, names) in prompt.groups.iter_mut().zip(GROUPS) {
            let found = names.iter().find_map(|name| Some((*name, body.get(name)?.non_null()?)));
            let Some((name, value)) = found else { continue };
            prompt.text.reserve(value.as_str().len());
            let is_list = value.is_array();
            let parts = if is_list { value.elements() } else { vec![value] };
            let parts = parts.into_iter().map(|part| {
                let from = prompt.text.len();
                prompt.text.push_str(part.as_str());
                Part::of(part, from..prompt.text.len())
            });
            *group = Group { name, is_list, parts: parts.collect() };
        }
        let has_input = prompt.groups.last().is_some_and(|input| !input.name.is_empty());
        has_input.then_some(prompt)
    }

    /// How much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let parts = self.groups.iter().map(|group| group.parts.len()).sum::<usize>();
        self.text.len() + parts * size_of::<Part>()
    }

    /// How many items the conversation has.
    pub(super) fn items(&self) -> usize {
        self.groups.get(INPUT).map_or(0, |input| input.parts.len())
    }

    fn part(&self, group: usize, at: usize) -> Option<Raw<'_>> {
        let part = self.groups.get(group)?.parts.get(at)?;
        self.text.get(part.range.clone()).map(Raw::unchecked)
    }

    fn path(&self, group: usize, at: usize) -> String {
        match self.groups.get(group) {
            Some(group) if group.is_list => format!("{}[{at}]", group.name),
            Some(group) => group.name.to_owned(),
            None => String::new(),
        }
    }

    /// What the conversation begins with, as a number: everything before the model first spoke.
    pub(super) fn opening(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let items = self.groups.get(INPUT).map(|input| &*input.parts).unwrap_or_default();
        for item in items.iter().take_while(|item| item.speaker != Speaker::Other) {
            self.text.get(item.range.clone()).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// All parts, as a first request adds them.
    pub(super) fn all(&self) -> Compared {
        let groups = self.groups.iter().enumerate();
        let added = groups.flat_map(|(group, of)| (0..of.parts.len()).map(move |at| (group, at)));
        Compared { change: None, added: added.collect() }
    }

    /// Compares it with the prompt before.
    pub(super) fn after(&self, before: &Prompt) -> Compared {
        let mut compared = Compared::default();
        for group in 0..GROUPS.len() {
            let parts = |of: &Prompt| of.groups.get(group).map_or(0, |group| group.parts.len());
            let (old, new) = (parts(before), parts(self));
            let is_same = |at: usize| match (before.part(group, at), self.part(group, at)) {
                (Some(one), Some(other)) => difference(one, other, String::new()).is_none(),
                _ => false,
            };
            let same = (0..old.min(new)).take_while(|at| is_same(*at)).count();
            let grew_at_end = group == INPUT && same == old;
            if compared.change.is_none() && !(grew_at_end || same == old && same == new) {
                compared.change = Some(self.change(before, group, same));
            }
            let left = (same..old).filter_map(|at| before.part(group, at)).map(Raw::as_str);
            let mut left: Vec<&str> = left.collect();
            for at in same..new {
                let text = self.part(group, at).map(Raw::as_str).unwrap_or_default();
                match left.iter().position(|known| *known == text) {
                    Some(known) => drop(left.swap_remove(known)),
                    None => compared.added.push((group, at)),
                }
            }
        }
        compared
    }

    /// The change at a part, which may be missing on one side.
    fn change(&self, before: &Prompt, group: usize, at: usize) -> Change {
        let (old, new) = (before.part(group, at), self.part(group, at));
        let path = if new.is_some() { self.path(group, at) } else { before.path(group, at) };
        let part = self.groups.get(group).and_then(|group| group.parts.get(at));
        let from = part.map_or(self.text.len(), |part| part.range.start);
        let shown = |part: Option<Raw<'_>>| {
            part.map_or_else(|| "(nothing)".to_owned(), |part| around(part.as_str(), 0))
        };
        let found = old.zip(new).and_then(|(old, new)| difference(old, new, path.clone()));
        let Difference { path, at, before, after } = found.unwrap_or_else(|| Difference {
            path,
            at: 0,
            before: shown(old),
            after: shown(new),
        });
        Change {
            path: name(&path),
            at_byte: (from + at) as u64,
            prompt_bytes: self.text.len() as u64,
            before,
            after,
        }
    }

    /// What was added, in words; and how many more additions there are.
    pub(super) fn told(&self, compared: &Compared) -> (Vec<Added>, u64) {
        let more = compared.added.len().saturating_sub(ADDED_MAX) as u64;
        // The last of many say what a request is about.
        let shown = compared.added.iter().skip(more as usize);
        let mut told: Vec<_> = shown.filter_map(|(group, at)| self.added(*group, *at)).collect();
        told.shrink_to_fit();
        (told, more)
    }

    fn added(&self, group: usize, at: usize) -> Option<Added> {
        let part = self.part(group, at)?;
        let (what, text) = match group {
            INPUT => item(part),
            1 => ("tool".to_owned(), tool_name(part)),
            _ => ("instructions".to_owned(), input::content(part.into())),
        };
        Some(Added {
            path: self.path(group, at),
            what: name(&what),
            chars: text.chars().count() as u64,
            text: excerpt(&text),
            bytes: part.as_str().len() as u64,
        })
    }

    /// What the user says in the parts that were added, if anything.
    pub(super) fn user_says(&self, compared: &Compared) -> Option<String> {
        let mut items = self.added_items(compared);
        // Clients put what they know of the machine before what the user says.
        let spoken = items.rfind(|item| item.speaker == Speaker::User)?;
        let item = self.text.get(spoken.range.clone()).map(Raw::unchecked)?;
        Some(excerpt(&input_text(item)))
    }

    /// The calls whose outputs were added.
    pub(super) fn outputs(&self, compared: &Compared) -> Vec<(String, u64)> {
        let outputs = self.added_items(compared).filter_map(|item| {
            let call_id = item.answers.clone()?;
            Some((call_id, item.range.len() as u64))
        });
        outputs.collect()
    }

    /// The items that were added.
    fn added_items<'p>(&'p self, compared: &Compared) -> impl DoubleEndedIterator<Item = &'p Part> {
        let input = self.groups.get(INPUT).map(|input| &*input.parts).unwrap_or_default();
        let added = compared.added.iter().filter(|(group, _)| *group == INPUT);
        added.filter_map(|(_, at)| input.get(*at))
    }
}

fn input_text(item: Raw<'_>) -> Cow<'_, str> {
    match item.is_object() {
        true => item.member("content").map(|said| input::content(said.into())).unwrap_or_default(),
        false => input::content(item.into()),
    }
}

/// What an item is, and what it says.
fn item(item: Raw<'_>) -> (String, Cow<'_, str>) {
    if !item.is_object() {
        return ("message user".to_owned(), input::content(item.into()));
    }
    let row = input::item(item.into());
    let what = match &row.role {
        Some(role) => format!("{} {role}", row.kind),
        None => row.kind.into_owned(),
    };
    (what, row.text)
}

fn tool_name(tool: Raw<'_>) -> Cow<'_, str> {
    let inner = || tool.member("function")?.member_text("name");
    let label = || tool.member_text("server_label").or_else(|| tool.member_text("type"));
    tool.member_text("name").or_else(inner).or_else(label).unwrap_or(Cow::Borrowed("?"))
}

/// The first place where two values differ.
struct Difference {
    path: String,
    /// The byte of the later value.
    at: usize,
    before: String,
    after: String,
}

/// The first difference that a model could see; `at` counts from the beginning of `after`.
fn difference(before: Raw<'_>, after: Raw<'_>, path: String) -> Option<Difference> {
    if before.as_str() == after.as_str() {
        return None;
    }
    let offset = |inner: Raw<'_>| {
        (inner.as_str().as_ptr() as usize).saturating_sub(after.as_str().as_ptr() as usize)
    };
    let deeper = |inner: Raw<'_>, found: Option<Difference>| {
        found.map(|found| Difference { at: found.at + offset(inner), ..found })
    };
    if before.is_object() && after.is_object() {
        let (old, new) = (read(before), read(after));
        for (key, value) in &new {
            let inner = format!("{path}.{key}");
            match old.iter().find(|(name, _)| name == key) {
                Some((_, was)) => {
                    if let found @ Some(_) = deeper(*value, difference(*was, *value, inner)) {
                        return found;
                    }
                }
                None => return deeper(*value, Some(whole(None, Some(*value), inner))),
            }
        }
        let gone = old.iter().find(|(key, _)| new.iter().all(|(name, _)| name != key));
        return gone.map(|(key, was)| whole(Some(*was), None, format!("{path}.{key}")));
    }
    if before.is_array() && after.is_array() {
        let (old, new) = (before.elements(), after.elements());
        for at in 0..old.len().max(new.len()) {
            let inner = format!("{path}[{at}]");
            match (old.get(at), new.get(at)) {
                (Some(was), Some(is)) => {
                    if let found @ Some(_) = deeper(*is, difference(*was, *is, inner)) {
                        return found;
                    }
                }
                (None, Some(is)) => return deeper(*is, Some(whole(None, Some(*is), inner))),
                (was, None) => return Some(whole(was.copied(), None, inner)),
            }
        }
        return None;
    }
    let same = before.as_str().bytes().zip(after.as_str().bytes()).take_while(|(a, b)| a == b);
    let at = same.count();
    let (before, after) = (around(before.as_str(), at), around(after.as_str(), at));
    Some(Difference { path, at, before, after })
}

/// The members of an item that a model reads.
fn read(object: Raw<'_>) -> Vec<(Cow<'_, str>, Raw<'_>)> {
    let mut members = object.members();
    members.retain(|(key, _)| !NOT_READ.contains(&&**key));
    members
}

/// A value that is there on one side only.
fn whole(before: Option<Raw<'_>>, after: Option<Raw<'_>>, path: String) -> Difference {
    let shown = |value: Option<Raw<'_>>| {
        value.map_or_else(|| "(nothing)".to_owned(), |value| around(value.as_str(), 0))
    };
    Difference { path, at: 0, before: shown(before), after: shown(after) }
}

/// A text around one of its bytes.
fn around(text: &str, at: usize) -> String {
    let (before, after) = SHOWN_BYTES;
    let from = text.floor_char_boundary(at.saturating_sub(before));
    let to = text.ceil_char_boundary(at.saturating_add(after).min(text.len()));
    let shown = text.get(from..to).unwrap_or_default();
    let cut = |is_cut: bool| if is_cut { "…" } else { "" };
    [cut(from > 0), shown, cut(to < text.len())].concat()
}
