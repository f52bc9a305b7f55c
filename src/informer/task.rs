//! The task that runs while an informer has subscribers: it drives the machine with the source and fills the cache.
//!
//! It must not decide what the machine decides. What it owns is the list under way and the open watch. It ends
//! with its session: what it would write after that, the cache refuses.

mod place;
mod telling;

use std::sync::Arc;

use kubehandler_core::ResourceVersion;
use kubehandler_core::store::{Applied, Event};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;
use tracing::{debug, error, info};

use super::ahead::Ahead;
use super::counts::ErrorSource;
use super::error::{InformerError, InformerErrorKind as Kind, Verb};
use super::frame::{self, Frame};
use super::gathered::Gathered;
use super::intake::Intake;
use super::machine::{Action, Effect, Input, Machine, PageRequest, Step, WatchFrom, WatchRequest};
use super::shared::Informer;
use super::source::{self, Read, RequestError, Source, WatchBody, damaged};
use super::split::Damage;
use super::target::Asked;
use crate::cache::{Later, Leftovers, MetadataError, Part, Session, StoredObject};
use crate::clock::Clock;
use place::Whereabouts;
use telling::{EndGuard, write_progress};

/// Lists and watches until `session` ends.
pub(super) async fn run(informer: Arc<Informer>, part: usize, session: Session) {
    let mut machine = Machine::new(informer.config.clone()).beginning_at(informer.begins_at.clone());
    let mut rng = StdRng::seed_from_u64(informer.seed.wrapping_add((part as u64).rotate_left(32)));
    let mut task = Task::new(&informer, part, session);
    let _end = EndGuard { informer: &informer, part, session };
    let mut action = machine.begin(&mut rng);
    let mut asked = informer.relist.subscribe();
    loop {
        let step = if machine.may_relist() && *asked.borrow_and_update() > task.begun {
            machine.relist(&mut rng)
        } else {
            task.show(&machine, &action);
            let input = tokio::select! {
                biased;
                input = task.act(action.clone()) => input,
                // What it is doing is not needed any more.
                Ok(()) = asked.changed(), if machine.may_relist() => continue,
            };
            let Some(input) = input else { return };
            if task.watch_definition(&input).await.is_none() {
                return;
            }
            machine.step(input, task.clock.now(), &mut rng)
        };
        let Some(next) = task.follow(&machine, step) else { return };
        task.finish_changes().await;
        task.intake.train_if_due(|| task.gathered.with_all_of(&informer.cache, task.part)).await;
        action = next;
    }
}

/// What an event says of its object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Added,
    Modified,
    Gone,
}

struct Task<'a> {
    informer: &'a Informer,
    // Which of its tasks this is, and what it lists and watches.
    index: usize,
    target: &'a Asked,
    part: &'a Part,
    session: Session,
    clock: Clock,
    whereabouts: Whereabouts,
    intake: Intake<'a>,
    // The cache gets it when it is complete.
    gathered: Gathered,
    ahead: Ahead,
    watch: Option<WatchBody>,
    // What subscribers still have to do for the changes that they were told.
    left: Leftovers,
    // The last failure, until the machine says that it is over.
    failure: Option<InformerError>,
    // Up to which request for a list the last one that was begun is an answer.
    begun: u64,
}

impl<'a> Task<'a> {
    fn new(informer: &'a Informer, index: usize, session: Session) -> Self {
        let (config, (target, part)) = (&informer.config, &informer.parts[index]);
        Self {
            informer,
            index,
            target,
            part,
            session,
            clock: Clock::new(),
            whereabouts: Whereabouts::new(Source::new(informer.client.clone(), target.clone(), config.read_timeout)),
            intake: Intake::new(informer),
            gathered: Gathered::default(),
            ahead: Ahead::default(),
            watch: None,
            left: Leftovers::default(),
            failure: None,
            begun: 0,
        }
    }

    /// Does what the machine wants. `None` if the session has ended.
    async fn act(&mut self, action: Action) -> Option<Input> {
        Some(match action {
            Action::List(page) => {
                self.watch = None;
                let mut listed = self.list(&page).await;
                if let Err(error) = &listed
                    && self.ahead.failed(error)
                {
                    debug!(informer = %self.target, "{}; the page is asked for alone", error.error);
                    self.informer.counters.error(ErrorSource::List);
                    listed = self.list(&page).await;
                }
                listed.unwrap_or_else(|error| {
                    self.informer.counters.error(ErrorSource::List);
                    Input::ListFailed(self.note(error))
                })
            }
            Action::Watch(watch) => self.open(&watch).await.unwrap_or_else(|error| self.watch_failed(error)),
            Action::Read { until } => {
                return match self.read(self.clock.instant(until)).await {
                    Ok(input) => input,
                    Err(error) => Some(self.watch_failed(error)),
                };
            }
            Action::Probe => {
                let newest = match self.whereabouts.source() {
                    Some(source) => source.newest().await,
                    None => None,
                };
                // The words for the case that the machine takes it for a failure.
                let detail =
                    "the server's newest version is older than the last one seen: was it restored from a backup?";
                self.failure = Some(self.failed(Kind::TooNew, detail));
                Input::Newest { version: newest.as_deref().map(ResourceVersion::new) }
            }
            Action::Sleep { until } => {
                self.clock.sleep_until(until).await;
                Input::Tick
            }
            Action::Stop => {
                self.stop();
                return None;
            }
        })
    }

    /// Ends the run for its last failure, which is not to be retried.
    fn stop(&self) {
        let why = self.failure.clone().unwrap_or_else(|| self.ended_at_once());
        error!(informer = %self.target, "{why}; it is not to be tried again, so the informer stops");
        self.informer.stop(self.session, &why);
    }

    /// A list begins: it will answer all who have asked for one by now.
    fn list_begins(&mut self) {
        self.begun = *self.informer.relist.borrow();
    }

    async fn list(&mut self, request: &PageRequest) -> Result<Input, RequestError> {
        if request.continue_token.is_none() {
            self.list_begins();
        }
        self.gathered.begin_page();
        let source = self.locate().await?;
        let mut body = if let Some(answer) = self.ahead.take(request).await {
            source.page(answer?)
        } else {
            self.informer.counters.list();
            source.list(request).await?
        };
        let mut position = self.gathered.len();
        loop {
            let item = tokio::select! {
                biased;
                () = self.ahead.arrives() => continue,
                item = body.next() => item?,
            };
            let Some(item) = item else { break };
            // A list says in front of its items whether more follow, but for those of custom kinds.
            if self.ahead.is_open()
                && let Some(next) = body.following(request)
            {
                self.informer.counters.list();
                self.ahead.ask(Arc::clone(&source), next);
            }
            match self.intake.read(&item) {
                Ok(object) => self.gathered.push(self.intake.keep_listed(object)),
                Err(MetadataError::Syntax) => {
                    let damage = Damage::Malformed("an item of the list is not valid JSON");
                    return Err(damaged(Verb::List, self.target, damage));
                }
                Err(error) => self.skip(&format!("item {position} of the list"), &error),
            }
            position += 1;
            self.intake.train_if_due(|| self.gathered.with_all_of(&self.informer.cache, self.part)).await;
            // Lets others run, and this task be ended, though the whole page may be here already.
            consume_budget().await;
        }
        let meta = body.finish()?;
        let version = meta.resource_version.filter(|version| !version.is_empty()).ok_or_else(|| {
            let damage = Damage::Malformed("the list names no resourceVersion, so it cannot be watched");
            damaged(Verb::List, self.target, damage)
        })?;
        let continue_token = meta.continue_token.filter(|token| !token.is_empty());
        if continue_token.is_some() && continue_token == request.continue_token {
            // It would be asked for ever.
            let damage = Damage::Malformed("the list gives the continue token again that it was asked with");
            return Err(damaged(Verb::List, self.target, damage));
        }
        if continue_token.is_none() {
            self.ahead.list_ended();
        }
        Ok(Input::Page { version: ResourceVersion::new(&version), continue_token })
    }

    async fn open(&mut self, request: &WatchRequest) -> Result<Input, RequestError> {
        self.watch = None;
        let source = self.locate().await?;
        self.informer.counters.watch();
        let streams = request.from == WatchFrom::InitialEvents;
        if streams {
            self.list_begins();
        }
        self.gathered.begin_watch(streams);
        self.watch = Some(source.watch(request).await?);
        Ok(Input::WatchOpened)
    }

    /// Reads the next frame and applies it. `Ok(None)` if the session has ended.
    async fn read(&mut self, until: Instant) -> Result<Option<Input>, RequestError> {
        consume_budget().await;
        // Without an open watch there is nothing to read: as if it had ended.
        let Some(watch) = &mut self.watch else { return Ok(Some(Input::WatchEnded)) };
        let text = match watch.next(until).await? {
            // Both are failures only where the machine says so; these are the words for that case.
            Read::Silence => {
                self.failure = Some(self.stalled());
                return Ok(Some(Input::Tick));
            }
            Read::Ended => {
                self.failure = Some(self.ended_at_once());
                return Ok(Some(Input::WatchEnded));
            }
            Read::Frame(text) => text,
        };
        let (target, verb) = (self.target, watch.verb);
        let frame = frame::frame(&text).map_err(|damage| damaged(verb, target, damage))?;
        self.informer.counters.event(frame.kind());
        let (raw, sort) = match frame {
            Frame::Added(raw) => (raw, Sort::Added),
            Frame::Modified(raw) => (raw, Sort::Modified),
            Frame::Gone(raw) => (raw, Sort::Gone),
            Frame::Bookmark(version) => return Ok(Some(self.bookmark(&version, false))),
            Frame::InitialEventsEnd(version) => return Ok(Some(self.bookmark(&version, true))),
            Frame::Error(status) => {
                let status = serde_json::from_str(status).unwrap_or_default();
                let error = source::event_error(verb, target, &status);
                self.informer.counters.error(ErrorSource::WatchEvent);
                self.watch = None;
                return Ok(Some(Input::WatchFailed(self.note(error))));
            }
        };
        match self.intake.read(raw.as_bytes()) {
            Ok(object) => Ok(self.event(object, sort)),
            Err(MetadataError::Syntax) => {
                let damage = Damage::Malformed("an object of the watch is not valid JSON");
                Err(damaged(verb, target, damage))
            }
            Err(error) => {
                self.skip("an object of the watch", &error);
                Ok(Some(if self.gathered.is_stream() {
                    Input::InitialEvent { is_added: sort == Sort::Added }
                } else {
                    Input::Event { version: ResourceVersion::new("") }
                }))
            }
        }
    }

    fn bookmark(&mut self, version: &str, ends_initial_events: bool) -> Input {
        let version = ResourceVersion::new(version);
        if self.gathered.is_stream() && !ends_initial_events {
            let detail = "a bookmark came that does not end the list: the server takes it for a plain watch";
            self.failure = Some(self.failed(Kind::Malformed, detail));
        }
        self.live(|live| live.last_event = Some(Instant::now()));
        if ends_initial_events { Input::InitialEventsEnd { version } } else { Input::Bookmark { version } }
    }

    /// Takes what a frame says of an object. `None` if the session has ended.
    fn event(&mut self, object: StoredObject, sort: Sort) -> Option<Input> {
        let Some(stream) = self.gathered.stream() else {
            let object = if self.informer.is_alone { self.intake.keep_plain(object) } else { self.intake.keep(object) };
            return self.apply(if sort == Sort::Gone { Event::Gone(object) } else { Event::Present(object) }, sort);
        };
        let held = stream.get(object.key());
        if held.is_none_or(|held| !object.version().is_older_than(held.version())) {
            if sort == Sort::Gone {
                stream.remove(object.key());
            } else {
                stream.insert(object.key().clone(), self.intake.keep_listed(object));
            }
        }
        Some(Input::InitialEvent { is_added: sort == Sort::Added })
    }

    fn apply(&mut self, event: Event<StoredObject>, sort: Sort) -> Option<Input> {
        let (Event::Present(object) | Event::Gone(object)) = &event;
        let version = object.version().clone();
        self.live(|live| {
            live.last_event = Some(Instant::now());
            live.events += 1;
        });
        let cache = &self.informer.cache;
        let existed = self.informer.begins_at.is_some() && sort != Sort::Added;
        if existed && cache.apply_unlisted(self.session, self.part, &event, &mut self.left)? {
            return Some(Input::Event { version });
        }
        match cache.apply(self.session, event, &mut self.left)? {
            Applied::Changed | Applied::Unchanged => {}
            Applied::Outdated => debug!(informer = %self.target, %version, "dropped an outdated event"),
        }
        Some(Input::Event { version })
    }

    /// Does what follows at once and tells what is to be told. `None` if the session has ended.
    fn follow(&mut self, machine: &Machine, step: Step) -> Option<Action> {
        if step.action != Action::Stop {
            self.tell(step.notice, machine);
        }
        match step.effect {
            Effect::None => {}
            Effect::Keep => self.gathered.keep_page(),
            Effect::Discard => self.gathered.discard(),
            Effect::Relist => self.live(|live| live.relists += 1),
            Effect::Commit => self.commit()?,
            Effect::StartWithout => {
                self.gathered.discard();
                self.informer.cache.start_without(self.session, self.part).then_some(())?;
                self.progress(|progress| progress.synced = true);
                info!(informer = %self.target, "counts as synced without its kind, which is missing");
            }
        }
        self.tell_version(machine.version());
        Some(step.action)
    }

    /// Tells who waits how far the cache has come.
    fn tell_version(&self, version: Option<&ResourceVersion>) {
        write_progress(self.informer, self.index, self.session, |progress| {
            let is_news = progress.version.as_ref() != version;
            if is_news {
                progress.version = version.cloned();
            }
            is_news
        });
    }

    /// Gives the complete list to the cache. `None` if the session has ended.
    fn commit(&mut self) -> Option<()> {
        let list = self.gathered.complete();
        if let Some(watch) = &mut self.watch {
            watch.verb = Verb::Watch;
        }
        debug!(informer = %self.target, objects = list.len(), "listed");
        self.informer.cache.replace(self.session, self.part, list, &mut self.left).then_some(())?;
        self.live(|live| live.lists += 1);
        self.progress(|progress| {
            progress.synced = true;
            progress.listed = self.begun;
        });
        Some(())
    }

    /// Does what subscribers have left for later: users' functions among it, so others may run in between. Waits for those who
    /// are behind and want that.
    async fn finish_changes(&mut self) {
        while let Some(later) = self.left.next() {
            match later {
                Later::Do(act) => act(),
                Later::Wait(until) => until.await,
            }
            consume_budget().await;
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
