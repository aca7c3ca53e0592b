//! The end of a stream that is being mended. The terminal snapshot wins where it has output; what
//! it alone has is said first, and what it leaves out stays.

use super::item::Item;
use super::{Mend, Stage, note_once};
use crate::json::Raw;
use crate::responses::envelope::Failure;
use crate::responses::event::{Event, Sink};
use crate::responses::kind::{Kind, Status};

/// The output of a terminal snapshot, and which of our items its items are.
struct Told<'a> {
    items: Vec<Raw<'a>>,
    ours: Vec<Option<usize>>,
}

/// By what an item of the snapshot is known again: its id, else its index, else what it says.
type Test = fn(&Item, u64, Raw<'_>) -> bool;

const TESTS: &[Test] = &[
    |item, _, told| told.member("id").is_some_and(|id| id.as_str() == item.id),
    |item, key, _| item.key == key && item.key_told,
    |item, _, told| {
        let texts = Item::texts(told);
        !texts.is_empty() && texts == Item::texts(Raw::trusted(&item.json))
    },
    |item, key, _| item.key == key,
];

impl Mend {
    pub(super) fn terminal(&mut self, event: Event<'_>, status: Status, sink: &mut dyn Sink) {
        let given = event.payload.filter(|response| response.is_object());
        let status = self.stated(given, status);
        if status == Status::Failed {
            let told = given.and_then(|given| given.member("error")).and_then(Raw::non_null);
            let before = self.error.as_ref().map(|(_, failure)| failure.clone());
            let failure = told.map(Failure::of).or(before).unwrap_or_else(|| Failure {
                code: "server_error".to_owned(),
                message: "the response failed, and no reason was given".to_owned(),
            });
            return self.close_failed(event, &failure, sink);
        }
        if self.error.take().is_some() {
            note_once(&mut self.notes, "error_passed_over", event.name());
        }
        self.begin(sink);
        if self.stage == Stage::Queued {
            note_once(&mut self.notes, "in_progress_missing", event.name());
            self.say_begun(Kind::InProgress, None, sink);
        }
        let mut told = self.told(given);
        self.finish_told(&mut told, status, sink);
        self.finish_rest(status, sink);
        self.close(event, status, &[], &told, sink);
    }

    /// The end of a response that failed. What is open stays open, so that nobody takes half a call
    /// for a call; the output has it as far as it came.
    pub(super) fn close_failed(
        &mut self,
        event: Event<'_>,
        failure: &Failure,
        sink: &mut dyn Sink,
    ) {
        self.begin(sink);
        if let Some((json, _)) = self.error.take()
            && let Ok(error) = Event::parse(&json, None)
        {
            self.voice(sink).emit(error);
        }
        let given = event.payload.filter(|response| response.is_object());
        let stated = given.and_then(|given| given.member("error")).and_then(Raw::non_null);
        let mut error = String::new();
        failure.print(&mut error);
        let error = stated.unwrap_or(Raw::trusted(&error));
        let told = self.told(given);
        self.close(event, Status::Failed, &[("error", error)], &told, sink);
    }

    /// The status of the end: the event's, unless the response itself says that it ended worse.
    fn stated(&mut self, given: Option<Raw<'_>>, status: Status) -> Status {
        let stated = given.and_then(|given| given.member_text("status")).unwrap_or_default();
        let ends = [Status::Completed, Status::Incomplete, Status::Failed];
        let end = ends.into_iter().find(|end| end.name() == stated).unwrap_or(status);
        if end.name() != stated && !stated.is_empty() || end != status {
            note_once(&mut self.notes, "status_contradicted", stated);
        }
        if status == Status::Completed { end } else { status }
    }

    /// Finds the items of the snapshot among ours.
    fn told<'a>(&self, given: Option<Raw<'a>>) -> Told<'a> {
        let items = given.and_then(|given| given.member("output")).map(Raw::elements);
        let mut items = items.unwrap_or_default();
        items.retain(|item| item.is_object());
        let mut ours: Vec<Option<usize>> = vec![None; items.len()];
        for test in TESTS {
            for (key, told) in (0..).zip(&items) {
                let kind = told.member_text("type").unwrap_or_default();
                let free = |at: usize| !ours.contains(&Some(at));
                let is = |at, item: &Item| item.kind == kind && free(at) && test(item, key, *told);
                let mut all = self.items.iter().enumerate();
                let found = all.find(|(at, item)| is(*at, item)).map(|(at, _)| at);
                let place = usize::try_from(key).ok().and_then(|key| ours.get_mut(key));
                if let Some(place) = place.filter(|place| place.is_none()) {
                    *place = found;
                }
            }
        }
        Told { items, ours }
    }

    /// Finishes what the snapshot has, and says what nothing but the snapshot has.
    fn finish_told(&mut self, told: &mut Told<'_>, status: Status, sink: &mut dyn Sink) {
        for (key, (item, ours)) in (0..).zip(told.items.iter().zip(&mut told.ours)) {
            let at = match *ours {
                Some(at) if self.items.get(at).is_some_and(|item| item.done) => continue,
                Some(at) => {
                    note_once(&mut self.notes, "item_not_done", "response.output_item.done");
                    at
                }
                None => {
                    note_once(&mut self.notes, "item_only_at_end", format!("output[{key}]"));
                    let kind = item.member_text("type").unwrap_or_default();
                    let id = item.member("id").filter(|id| id.is_string());
                    self.add(Some(key), &kind, id, item.as_str().to_owned(), false)
                }
            };
            *ours = Some(at);
            self.finish(at, Some(*item), status, sink);
        }
    }

    /// What the input never finished, as far as it was heard.
    fn finish_rest(&mut self, status: Status, sink: &mut dyn Sink) {
        for at in 0..self.items.len() {
            if self.items.get(at).is_some_and(|item| !item.done) {
                note_once(&mut self.notes, "item_not_done", "response.output_item.done");
                self.finish(at, None, status, sink);
            }
        }
    }

    /// The items in the order of the wire, each as the snapshot has it, or else as it was done.
    fn output(&mut self, told: &Told<'_>) -> Vec<String> {
        let mut placed: Vec<(u64, String)> = Vec::new();
        for (at, item) in self.items.iter().enumerate() {
            let last = told.ours.iter().position(|ours| *ours == Some(at));
            let last = last.and_then(|key| told.items.get(key).copied());
            if let Some(place) = item.place {
                if last.is_none() && !told.items.is_empty() {
                    note_once(&mut self.notes, "item_missing_at_end", item.kind.clone());
                }
                placed.push((place, item.at_end(last, &mut self.notes)));
            }
        }
        placed.sort_by_key(|(place, _)| *place);
        let unplaced = |ours: Option<usize>| {
            ours.and_then(|at| self.items.get(at)).is_none_or(|item| item.place.is_none())
        };
        let rest = told.items.iter().zip(&told.ours).filter(|(_, ours)| unplaced(**ours));
        let rest = rest.map(|(item, _)| item.as_str().to_owned());
        placed.into_iter().map(|(_, json)| json).chain(rest).collect()
    }

    fn close(
        &mut self,
        event: Event<'_>,
        status: Status,
        changes: &[(&str, Raw<'_>)],
        told: &Told<'_>,
        sink: &mut dyn Sink,
    ) {
        let items = self.output(told);
        let given = event.payload.filter(|response| response.is_object());
        let status_name = format!("\"{}\"", status.name());
        let mut changes = changes.to_vec();
        changes.push(("status", Raw::trusted(&status_name)));
        let same = items.len() == told.items.len()
            && items.iter().zip(&told.items).all(|(ours, told)| ours == told.as_str());
        let output = format!("[{}]", items.join(","));
        if !same || given.is_none_or(|given| given.member("output").is_none_or(|o| !o.is_array())) {
            if told.items.is_empty() && !items.is_empty() {
                note_once(&mut self.notes, "output_missing_at_end", event.name());
            }
            changes.push(("output", Raw::trusted(&output)));
        }
        let response = self.snapshot(given, &changes);
        let kind = match status {
            Status::Incomplete => Kind::Incomplete,
            Status::Failed => Kind::Failed,
            Status::Completed | Status::InProgress => Kind::Completed,
        };
        let payload = Some(Raw::trusted(&response));
        self.voice(sink).emit(Event { kind, payload, ..event });
        self.ended = Some(status);
    }
}
