//! The controller's finite state machine: its states, inputs and actions, and the engine that
//! turns a queue of inputs into actions in a fixed order.
//!
//! The table is in [`fsm_table`](super::fsm_table); what actions do is the controller's business.
//! Source: `spec/pacemaker-cluster.md` §4.1–4.4.

use std::collections::VecDeque;

use xml::Element;

use super::fsm_table;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = $word] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: [$name; [$($word,)+].len()] = [$($name::$variant,)+];

            /// The word in logs and messages.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// What the controller is doing.
    State {
        Idle = "S_IDLE",
        Election = "S_ELECTION",
        Integration = "S_INTEGRATION",
        FinalizeJoin = "S_FINALIZE_JOIN",
        NotDc = "S_NOT_DC",
        PolicyEngine = "S_POLICY_ENGINE",
        Recovery = "S_RECOVERY",
        ReleaseDc = "S_RELEASE_DC",
        Starting = "S_STARTING",
        Pending = "S_PENDING",
        Stopping = "S_STOPPING",
        Terminate = "S_TERMINATE",
        TransitionEngine = "S_TRANSITION_ENGINE",
        Halt = "S_HALT",
    }
}

words! {
    /// What may happen to it.
    Input {
        Null = "I_NULL",
        CibOp = "I_CIB_OP",
        CibUpdate = "I_CIB_UPDATE",
        DcTimeout = "I_DC_TIMEOUT",
        Election = "I_ELECTION",
        PeCalc = "I_PE_CALC",
        ReleaseDc = "I_RELEASE_DC",
        ElectionDc = "I_ELECTION_DC",
        Error = "I_ERROR",
        Fail = "I_FAIL",
        Integrated = "I_INTEGRATED",
        Finalized = "I_FINALIZED",
        NodeJoin = "I_NODE_JOIN",
        NotDc = "I_NOT_DC",
        Recovered = "I_RECOVERED",
        ReleaseFail = "I_RELEASE_FAIL",
        ReleaseSuccess = "I_RELEASE_SUCCESS",
        Restart = "I_RESTART",
        TeSuccess = "I_TE_SUCCESS",
        Router = "I_ROUTER",
        Shutdown = "I_SHUTDOWN",
        Stop = "I_STOP",
        Terminate = "I_TERMINATE",
        Startup = "I_STARTUP",
        PeSuccess = "I_PE_SUCCESS",
        JoinOffer = "I_JOIN_OFFER",
        JoinRequest = "I_JOIN_REQUEST",
        JoinResult = "I_JOIN_RESULT",
        WaitForEvent = "I_WAIT_FOR_EVENT",
        DcHeartbeat = "I_DC_HEARTBEAT",
        LrmEvent = "I_LRM_EVENT",
        Pending = "I_PENDING",
        Halt = "I_HALT",
    }
}

words! {
    /// What it may have to do, in the order in which pending actions are executed.
    Action {
        Error = "A_ERROR",
        Warn = "A_WARN",
        Log = "A_LOG",
        Exit1 = "A_EXIT_1",
        LrmReconnect = "O_LRM_RECONNECT",
        CibRestart = "O_CIB_RESTART",
        PeRestart = "O_PE_RESTART",
        TeRestart = "O_TE_RESTART",
        Startup = "A_STARTUP",
        CibStart = "A_CIB_START",
        HaConnect = "A_HA_CONNECT",
        Readconfig = "A_READCONFIG",
        LrmConnect = "A_LRM_CONNECT",
        TeStart = "A_TE_START",
        PeStart = "A_PE_START",
        DcTimerStop = "A_DC_TIMER_STOP",
        IntegrateTimerStop = "A_INTEGRATE_TIMER_STOP",
        IntegrateTimerStart = "A_INTEGRATE_TIMER_START",
        FinalizeTimerStop = "A_FINALIZE_TIMER_STOP",
        FinalizeTimerStart = "A_FINALIZE_TIMER_START",
        MsgRoute = "A_MSG_ROUTE",
        Recover = "A_RECOVER",
        ClJoinResult = "A_CL_JOIN_RESULT",
        ClJoinRequest = "A_CL_JOIN_REQUEST",
        ShutdownReq = "A_SHUTDOWN_REQ",
        ElectionVote = "A_ELECTION_VOTE",
        ElectionCount = "A_ELECTION_COUNT",
        LrmEvent = "A_LRM_EVENT",
        Started = "A_STARTED",
        ClJoinQuery = "A_CL_JOIN_QUERY",
        DcTimerStart = "A_DC_TIMER_START",
        DcTakeover = "A_DC_TAKEOVER",
        DcRelease = "A_DC_RELEASE",
        DcJoinFinal = "A_DC_JOIN_FINAL",
        ElectionCheck = "A_ELECTION_CHECK",
        ElectionStart = "A_ELECTION_START",
        DcJoinOfferAll = "A_DC_JOIN_OFFER_ALL",
        DcJoinOfferOne = "A_DC_JOIN_OFFER_ONE",
        DcJoinProcessReq = "A_DC_JOIN_PROCESS_REQ",
        DcJoinProcessAck = "A_DC_JOIN_PROCESS_ACK",
        DcJoinFinalize = "A_DC_JOIN_FINALIZE",
        ClJoinAnnounce = "A_CL_JOIN_ANNOUNCE",
        TeHalt = "A_TE_HALT",
        TeCancel = "A_TE_CANCEL",
        LrmInvoke = "A_LRM_INVOKE",
        PeInvoke = "A_PE_INVOKE",
        TeInvoke = "A_TE_INVOKE",
        DcReleased = "A_DC_RELEASED",
        PeStop = "A_PE_STOP",
        TeStop = "A_TE_STOP",
        Shutdown = "A_SHUTDOWN",
        LrmDisconnect = "A_LRM_DISCONNECT",
        HaDisconnect = "A_HA_DISCONNECT",
        CibStop = "A_CIB_STOP",
        Stop = "A_STOP",
        Exit0 = "A_EXIT_0",
    }
}

/// A set of actions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Actions(u64);

impl Actions {
    /// No action.
    pub const NONE: Actions = Actions(0);
    /// Leave everything and exit.
    pub const EXIT: Actions = Actions::of(&[
        Action::Shutdown,
        Action::Stop,
        Action::LrmDisconnect,
        Action::HaDisconnect,
        Action::Exit0,
        Action::CibStop,
    ]);
    /// Stop being the DC.
    pub const RELEASE: Actions = Actions::of(&[
        Action::DcTimerStop,
        Action::DcRelease,
        Action::PeStop,
        Action::TeStop,
        Action::DcReleased,
    ]);
    /// Wait for a DC anew.
    pub const DC_TIMER_RESTART: Actions = Actions::of(&[Action::DcTimerStop, Action::DcTimerStart]);
    /// What nobody needs any more once we stop.
    const START_UP: Actions = Actions::of(&[
        Action::Startup,
        Action::CibStart,
        Action::LrmConnect,
        Action::HaConnect,
        Action::Readconfig,
        Action::Started,
        Action::ClJoinQuery,
    ]);

    /// The set of these.
    pub const fn of(actions: &[Action]) -> Actions {
        let mut bits = 0;
        let mut at = 0;
        while at < actions.len() {
            bits |= 1 << actions[at] as u8;
            at += 1;
        }
        Actions(bits)
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Actions) -> Actions {
        Actions(self.0 | other.0)
    }

    /// Without those of `other`.
    #[must_use]
    pub const fn without(self, other: Actions) -> Actions {
        Actions(self.0 & !other.0)
    }

    /// Whether one is in it.
    pub const fn has(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Takes the first one out, in execution order.
    fn pop(&mut self) -> Option<Action> {
        let at = self.0.trailing_zeros() as usize;
        let action = *Action::ALL.get(at)?;
        self.0 &= self.0 - 1;
        Some(action)
    }
}

/// Why an input arose; some actions depend on it, and it stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The start of the process.
    Startup,
    /// A message of a peer or a client.
    Message,
    /// The state machine itself.
    Internal,
    /// A timer.
    Timer,
    /// SIGTERM.
    Shutdown,
    /// A callback (CIB, membership).
    Callback,
}

impl Cause {
    /// The word in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::Startup => "C_STARTUP",
            Cause::Message => "C_HA_MESSAGE",
            Cause::Internal => "C_FSA_INTERNAL",
            Cause::Timer => "C_TIMER_POPPED",
            Cause::Shutdown => "C_SHUTDOWN",
            Cause::Callback => "C_CRMD_STATUS_CALLBACK",
        }
    }
}

/// One entry of the queue.
#[derive(Clone, Debug)]
pub struct Event {
    /// The input.
    pub input: Input,
    /// Why.
    pub cause: Cause,
    /// Actions besides those of the table.
    pub actions: Actions,
    /// The message it is about.
    pub message: Option<Element>,
    /// Where in the code it arose, for the log.
    pub origin: &'static str,
}

/// A state change, as the log tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// State before.
    pub from: State,
    /// State after.
    pub to: State,
}

/// The next step of the engine.
#[derive(Debug)]
pub enum Step {
    /// An event was taken from the queue; the state may have changed.
    Took(Event, Option<Change>),
    /// Execute this for the event taken last.
    Do(Action),
}

/// The engine.
#[derive(Debug)]
pub struct Fsm {
    state: State,
    queue: VecDeque<Event>,
    pending: Actions,
    /// Actions that wait for something, with the event they belong to.
    waiting: Vec<Event>,
    /// Whether start-up actions are dropped.
    pub shutting_down: bool,
}

impl Default for Fsm {
    fn default() -> Fsm {
        Fsm {
            state: State::Starting,
            queue: VecDeque::new(),
            pending: Actions::NONE,
            waiting: Vec::new(),
            shutting_down: false,
        }
    }
}

/// The table: next state and actions.
pub fn look_up(input: Input, state: State) -> (State, Actions) {
    fsm_table::rows(input)
        .iter()
        .find(|(states, ..)| states.contains(&state))
        .map_or((state, Actions::NONE), |(_, next, actions)| (next.unwrap_or(state), *actions))
}

impl Fsm {
    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Adds an input at the end of the queue.
    pub fn push(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    /// Adds an input at the head of the queue.
    pub fn push_front(&mut self, event: Event) {
        self.queue.push_front(event);
    }

    /// An action failed: `event` is handled next, what was pending after it.
    pub fn interrupt(&mut self, event: Event) {
        if !self.pending.is_empty() {
            let rest = Event {
                input: Input::Null,
                cause: Cause::Internal,
                actions: std::mem::take(&mut self.pending),
                message: None,
                origin: "register_error",
            };
            self.queue.push_front(rest);
        }
        self.queue.push_front(event);
    }

    /// Adds actions to those pending.
    pub fn add(&mut self, actions: Actions) {
        self.pending = self.pending.and(actions);
    }

    /// Takes actions out of those pending.
    pub fn remove(&mut self, actions: Actions) {
        self.pending = self.pending.without(actions);
    }

    /// An action of `current` has to wait, and with it what was to follow. Other events go on;
    /// [`resume`](Self::resume) tries it again.
    pub fn stall(&mut self, action: Action, current: &Event) {
        let actions = std::mem::take(&mut self.pending).and(Actions::of(&[action]));
        let known = current.message.is_none()
            && self.waiting.iter().any(|w| w.actions == actions && w.message.is_none());
        if !known {
            self.waiting.push(Event { input: Input::Null, actions, ..current.clone() });
        }
    }

    /// What stalled actions wait for may have happened.
    pub fn resume(&mut self) {
        for event in std::mem::take(&mut self.waiting).into_iter().rev() {
            self.queue.push_front(event);
        }
    }

    /// The next step, `None` when there is nothing to do for now.
    pub fn step(&mut self) -> Option<Step> {
        if self.shutting_down {
            self.pending = self.pending.without(Actions::START_UP);
        }
        if let Some(action) = self.pending.pop() {
            return Some(Step::Do(action));
        }
        let event = self.queue.pop_front()?;
        let (next, actions) = look_up(event.input, self.state);
        self.pending = self.pending.and(event.actions).and(actions);
        if next == State::Stopping || self.shutting_down {
            self.pending = self.pending.without(Actions::START_UP);
        }
        let change = (next != self.state).then_some(Change { from: self.state, to: next });
        self.state = next;
        Some(Step::Took(event, change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_and_unambiguous() {
        for input in Input::ALL {
            for state in State::ALL {
                let n = fsm_table::rows(input).iter().filter(|row| row.0.contains(&state)).count();
                assert_eq!(n, 1, "{} in {}", input.as_str(), state.as_str());
            }
        }
    }

    fn event(input: Input) -> Event {
        Event { input, cause: Cause::Internal, actions: Actions::NONE, message: None, origin: "t" }
    }

    #[test]
    fn actions_come_in_their_fixed_order() {
        let mut fsm = Fsm::default();
        fsm.push(event(Input::Startup));
        let mut done = Vec::new();
        while let Some(step) = fsm.step() {
            if let Step::Do(action) = step {
                done.push(action.as_str());
            }
        }
        assert_eq!(
            done,
            [
                "A_LOG",
                "A_STARTUP",
                "A_CIB_START",
                "A_HA_CONNECT",
                "A_READCONFIG",
                "A_LRM_CONNECT",
                "A_STARTED"
            ]
        );
    }

    #[test]
    fn a_stalled_action_is_tried_again_and_the_rest_waits() {
        let mut fsm = Fsm::default();
        fsm.push(event(Input::Startup));
        let mut stalled = false;
        let mut done = Vec::new();
        for _ in 0..100 {
            match fsm.step() {
                Some(Step::Do(Action::CibStart)) if !stalled => {
                    fsm.stall(Action::CibStart, &event(Input::Null));
                    stalled = true;
                    // Others are not held up.
                    fsm.push(event(Input::Router));
                    assert!(matches!(fsm.step(), Some(Step::Took(..))));
                    assert!(matches!(fsm.step(), Some(Step::Do(Action::MsgRoute))));
                    assert!(fsm.step().is_none());
                    fsm.resume();
                }
                Some(Step::Do(action)) => done.push(action),
                Some(Step::Took(..)) => {}
                None => break,
            }
        }
        assert_eq!(done[2], Action::CibStart);
        assert_eq!(done.last(), Some(&Action::Started));
    }

    #[test]
    fn a_lone_node_becomes_the_dc() {
        let mut state = State::Starting;
        for (input, want) in [
            (Input::Startup, State::Starting),
            (Input::Pending, State::Pending),
            (Input::DcTimeout, State::Election),
            (Input::ElectionDc, State::Integration),
            (Input::Integrated, State::FinalizeJoin),
            (Input::Finalized, State::PolicyEngine),
            (Input::PeSuccess, State::TransitionEngine),
            (Input::TeSuccess, State::Idle),
        ] {
            state = look_up(input, state).0;
            assert_eq!(state, want);
        }
    }
}
