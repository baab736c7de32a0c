//! Flows: which stages, in which order, lead to an operation.

use ruma::api::client::uiaa::{AuthFlow, AuthType};

use crate::Stage;

/// Stages that together prove enough, in the order in which they must come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow(Vec<Stage>);

/// The flows that are offered for an operation; each one is enough alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flows(Vec<Flow>);

impl Flows {
    /// The given flows, in the order in which clients should see them.
    ///
    /// # Panics
    ///
    /// When there is no flow, or one without a stage: that would let an
    /// operation pass without any proof.
    #[must_use]
    pub fn new<F: Into<Vec<Stage>>>(flows: impl IntoIterator<Item = F>) -> Self {
        let flows: Vec<_> = flows.into_iter().map(|stages| Flow(stages.into())).collect();
        assert!(!flows.is_empty(), "an operation needs at least one flow");
        assert!(flows.iter().all(|flow| !flow.0.is_empty()), "a flow needs at least one stage");
        Self(flows)
    }

    /// Whether `stage` may come next after `completed`.
    ///
    /// Stages complete in order: `completed` and `stage` together must be the
    /// beginning of one flow.
    pub(crate) fn admit(&self, completed: &[Stage], stage: Stage) -> bool {
        self.0.iter().any(|Flow(stages)| {
            stages.strip_prefix(completed).is_some_and(|rest| rest.first() == Some(&stage))
        })
    }

    /// Whether `completed` is a whole flow.
    pub(crate) fn finished_by(&self, completed: &[Stage]) -> bool {
        self.0.iter().any(|Flow(stages)| stages == completed)
    }

    /// Every stage that occurs, each once.
    pub(crate) fn stages(&self) -> impl Iterator<Item = Stage> {
        Stage::ALL.into_iter().filter(|stage| self.0.iter().any(|flow| flow.0.contains(stage)))
    }
}

impl From<&Flows> for Vec<AuthFlow> {
    fn from(flows: &Flows) -> Self {
        let stages = |flow: &Flow| flow.0.iter().copied().map(AuthType::from).collect();
        flows.0.iter().map(|flow| AuthFlow::new(stages(flow))).collect()
    }
}
