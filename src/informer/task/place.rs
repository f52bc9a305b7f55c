//! Where the task's kind is, and what becomes of its objects once its definition is gone.
//!
//! It must not decide what the machine decides: a place that cannot be had is a list that fails.

use std::sync::Arc;

use tracing::{debug, warn};

use super::Task;
use crate::informer::client::Place;
use crate::informer::definition::{self, Departure, Reading};
use crate::informer::error::InformerErrorKind as Kind;
use crate::informer::machine::Input;
use crate::informer::source::{RequestError, Source};
use crate::informer::target::Wanted;

/// What a task knows of its kind.
pub(super) struct Whereabouts {
    seeker: Source<Wanted>,
    // Until a request shows that it is not there any more.
    present: Option<(Place, Arc<Source>)>,
    // Where the objects came from that the cache holds.
    last: Option<Arc<Source>>,
    departure: Departure,
    // Whether people were told why the definition cannot be read.
    is_told: bool,
}

impl Whereabouts {
    pub(super) fn new(seeker: Source<Wanted>) -> Self {
        Self { seeker, present: None, last: None, departure: Departure::default(), is_told: false }
    }

    /// A request has failed: if what it asked for does not exist, it is to be looked for anew.
    pub(super) fn failed(&mut self, error: &RequestError) {
        if error.error.kind() == Kind::Missing
            && let Some((place, source)) = self.present.take()
        {
            source.client.forget(&place);
        }
    }

    /// Where it was found last.
    pub(super) fn source(&self) -> Option<&Source> {
        self.present.as_ref().map(|(_, source)| &**source)
    }
}

impl Task<'_> {
    /// Where the kind is, found out if need be.
    pub(super) async fn locate(&mut self) -> Result<Arc<Source>, RequestError> {
        let Whereabouts { seeker, present, last, .. } = &mut self.whereabouts;
        if let Some((_, source)) = present {
            return Ok(Arc::clone(source));
        }
        let (place, target) = seeker.located().await?;
        let types = target.types();
        let source = Arc::new(Source::new(seeker.client.clone(), target, seeker.read_timeout));
        let before = last.replace(Arc::clone(&source));
        if let Some(before) = before.filter(|before| before.target.resource != source.target.resource) {
            // The objects come in another version's shape from now on, those that have not changed, too.
            self.informer.cache.reshape(self.session, self.part);
            let (before, now) = (before.target.resource.api_version(), source.target.resource.api_version());
            debug!(informer = %self.target, %before, %now, "the kind is served in another version");
        }
        self.intake.set_types(types);
        *present = Some((place, Arc::clone(&source)));
        Ok(source)
    }

    /// After a request: releases what the cache holds of a kind that is missing once its definition is known to be gone.
    /// `None` if the session has ended.
    pub(super) async fn watch_definition(&mut self, input: &Input) -> Option<()> {
        match input {
            Input::ListFailed(failure) | Input::WatchFailed(failure) if failure.kind == Kind::Missing => {}
            // Waiting is over, which says nothing.
            Input::Tick => return Some(()),
            Input::Page { .. }
            | Input::ListFailed(_)
            | Input::WatchOpened
            | Input::InitialEvent { .. }
            | Input::InitialEventsEnd { .. }
            | Input::Event { .. }
            | Input::Bookmark { .. }
            | Input::Newest { .. }
            | Input::WatchEnded
            | Input::WatchFailed(_) => {
                self.whereabouts.departure = Departure::default();
                self.whereabouts.is_told = false;
                return Some(());
            }
        }
        let Some(source) = self.whereabouts.last.clone() else { return Some(()) };
        if !definition::can_have_one(&source.target.resource) || !self.informer.cache.holds_any(self.part) {
            return Some(());
        }
        let asked = self.clock.now();
        let reading = definition::read(&source).await;
        let is_gone = self.whereabouts.departure.read(&reading, asked, self.clock.now());
        if let Reading::Unknown(error) = &reading
            && !std::mem::replace(&mut self.whereabouts.is_told, true)
        {
            let error = &error.error;
            warn!(informer = %self.target, "holds on to the objects of a kind that is missing, for it may come back: {error}");
        }
        if is_gone { self.release(&source) } else { Some(()) }
    }

    /// Lets go of all that the cache holds of this part.
    fn release(&mut self, source: &Source) -> Option<()> {
        let (cache, objects) = (&self.informer.cache, self.informer.cache.len());
        cache.replace(self.session, self.part, Vec::new(), &mut self.left).then_some(())?;
        self.whereabouts.departure = Departure::default();
        let (definition, objects) = (&source.target.resource, objects - self.informer.cache.len());
        warn!(
            informer = %self.target, objects,
            "releases what it held of a kind whose CustomResourceDefinition is gone: {definition} was not there twice, half a minute apart"
        );
        Some(())
    }
}
