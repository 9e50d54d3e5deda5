//! The controller's transition table: for each input, what it does in each state.
//!
//! Source: `spec/pacemaker-cluster.md` §4.3–4.4, row by row.

use super::fsm::{Action as A, Actions, Input as I, State as S};

/// What one input does in some states: the next state (`None`: stay) and the actions added.
pub(super) type Row = (&'static [S], Option<S>, Actions);

const fn set<const N: usize>(actions: [A; N]) -> Actions {
    Actions::of(&actions)
}

/// The rows of an input. Each state stands in exactly one of them (a test checks it).
pub(super) const fn rows(input: I) -> &'static [Row] {
    match input {
        I::Null => const { &[(&S::ALL, None, Actions::NONE)] },
        I::CibOp => const { &[(&S::ALL, None, set([A::Error]))] },
        I::CibUpdate => {
            const {
                &[
                    (
                        &[S::Idle, S::Election, S::PolicyEngine, S::TransitionEngine],
                        None,
                        set([A::Log]),
                    ),
                    (
                        &[
                            S::Integration,
                            S::FinalizeJoin,
                            S::Recovery,
                            S::ReleaseDc,
                            S::Stopping,
                            S::Terminate,
                            S::Halt,
                        ],
                        None,
                        set([A::Warn]),
                    ),
                    (&[S::NotDc, S::Starting, S::Pending], Some(S::Recovery), set([A::Warn])),
                ]
            }
        }
        I::DcTimeout => {
            const {
                &[
                    (
                        &[S::Idle, S::Integration, S::FinalizeJoin, S::PolicyEngine, S::ReleaseDc],
                        Some(S::Recovery),
                        set([A::Warn]),
                    ),
                    (&[S::Election], None, set([A::ElectionVote])),
                    (&[S::NotDc, S::Pending], Some(S::Election), set([A::ElectionVote, A::Warn])),
                    (&[S::Recovery, S::Stopping, S::Terminate], None, Actions::NONE),
                    (&[S::Starting], None, set([A::Warn])),
                    (&[S::TransitionEngine], Some(S::Recovery), set([A::TeCancel, A::Warn])),
                    (&[S::Halt], Some(S::Election), set([A::Warn])),
                ]
            }
        }
        I::Election => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Integration,
                            S::FinalizeJoin,
                            S::NotDc,
                            S::PolicyEngine,
                            S::Pending,
                            S::TransitionEngine,
                        ],
                        Some(S::Election),
                        set([A::ElectionVote]),
                    ),
                    (&[S::Election, S::Halt], None, set([A::ElectionVote])),
                    (&[S::Recovery, S::ReleaseDc, S::Stopping, S::Terminate], None, set([A::Log])),
                    (&[S::Starting], None, set([A::Warn])),
                ]
            }
        }
        I::PeCalc => {
            const {
                &[
                    (&[S::Idle, S::TransitionEngine], Some(S::PolicyEngine), set([A::PeInvoke])),
                    (
                        &[S::Election, S::Integration, S::FinalizeJoin, S::Recovery, S::ReleaseDc],
                        None,
                        Actions::NONE,
                    ),
                    (&[S::NotDc, S::Pending, S::Stopping], None, set([A::Warn])),
                    (&[S::PolicyEngine], None, set([A::PeInvoke])),
                    (&[S::Starting], Some(S::Recovery), set([A::Error])),
                    (&[S::Terminate, S::Halt], None, set([A::Error])),
                ]
            }
        }
        I::ReleaseDc => {
            const {
                &[
                    (&[S::Idle, S::Election], Some(S::ReleaseDc), Actions::RELEASE),
                    (
                        &[S::Integration, S::FinalizeJoin, S::PolicyEngine, S::TransitionEngine],
                        Some(S::ReleaseDc),
                        set([A::Warn]).and(Actions::RELEASE),
                    ),
                    (
                        &[S::NotDc, S::Pending, S::Stopping, S::Terminate, S::Halt],
                        None,
                        set([A::Warn]),
                    ),
                    (&[S::Recovery], None, Actions::RELEASE),
                    (&[S::ReleaseDc], None, set([A::Warn]).and(Actions::RELEASE)),
                    (&[S::Starting], Some(S::Recovery), set([A::Error])),
                ]
            }
        }
        I::ElectionDc => {
            const {
                &[
                    (
                        &[S::Idle, S::PolicyEngine, S::TransitionEngine],
                        Some(S::Integration),
                        set([A::Warn, A::ElectionVote]),
                    ),
                    (
                        &[S::Election],
                        Some(S::Integration),
                        set([
                            A::Log,
                            A::DcTakeover,
                            A::PeStart,
                            A::TeStart,
                            A::DcJoinOfferAll,
                            A::DcTimerStop,
                        ]),
                    ),
                    (&[S::Integration], None, set([A::Warn, A::ElectionVote, A::DcJoinOfferAll])),
                    (
                        &[S::FinalizeJoin],
                        Some(S::Integration),
                        set([A::Warn, A::ElectionVote, A::DcJoinOfferAll]),
                    ),
                    (&[S::NotDc], Some(S::Integration), set([A::Log, A::ElectionVote])),
                    (&[S::Recovery, S::Stopping, S::Terminate, S::Halt], None, set([A::Warn])),
                    (&[S::ReleaseDc], None, set([A::Warn, A::ElectionVote])),
                    (&[S::Starting], Some(S::Recovery), set([A::Log, A::Warn])),
                    (&[S::Pending], None, set([A::Log, A::Warn])),
                ]
            }
        }
        I::Error => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Integration,
                            S::FinalizeJoin,
                            S::PolicyEngine,
                            S::TransitionEngine,
                            S::Halt,
                        ],
                        Some(S::Recovery),
                        set([A::Error, A::Recover, A::ElectionStart]).and(Actions::RELEASE),
                    ),
                    (
                        &[S::Election],
                        Some(S::Recovery),
                        set([A::Error, A::Recover]).and(Actions::RELEASE),
                    ),
                    (
                        &[S::NotDc, S::ReleaseDc, S::Starting, S::Pending],
                        Some(S::Recovery),
                        set([A::Error, A::Recover]),
                    ),
                    (&[S::Recovery], None, set([A::Error]).and(Actions::RELEASE)),
                    (&[S::Stopping], Some(S::Terminate), set([A::Error, A::Exit1])),
                    (&[S::Terminate], None, set([A::Error, A::Exit1])),
                ]
            }
        }
        I::Fail => {
            const {
                &[
                    (&[S::Idle, S::NotDc], Some(S::Recovery), set([A::Warn])),
                    (&[S::Election, S::Halt], Some(S::ReleaseDc), set([A::Warn])),
                    (&[S::Integration], None, set([A::Warn, A::DcJoinOfferAll])),
                    (&[S::FinalizeJoin], Some(S::Integration), set([A::Warn, A::DcJoinOfferAll])),
                    (
                        &[S::PolicyEngine],
                        Some(S::Integration),
                        set([A::Warn, A::DcJoinOfferAll, A::TeCancel]),
                    ),
                    (&[S::Recovery], None, set([A::Warn]).and(Actions::RELEASE)),
                    (&[S::ReleaseDc, S::Stopping], None, set([A::Warn])),
                    (&[S::Starting, S::Pending], Some(S::Stopping), set([A::Warn])),
                    (&[S::Terminate], None, set([A::Warn, A::Exit1])),
                    (
                        &[S::TransitionEngine],
                        Some(S::PolicyEngine),
                        set([A::Warn, A::LrmReconnect, A::PeInvoke, A::TeCancel]),
                    ),
                ]
            }
        }
        I::Integrated => {
            const {
                &[
                    (&[S::Idle, S::PolicyEngine, S::TransitionEngine], None, Actions::NONE),
                    (
                        &[
                            S::Election,
                            S::FinalizeJoin,
                            S::NotDc,
                            S::Recovery,
                            S::ReleaseDc,
                            S::Stopping,
                            S::Terminate,
                            S::Halt,
                        ],
                        None,
                        set([A::Warn]),
                    ),
                    (&[S::Integration], Some(S::FinalizeJoin), set([A::DcJoinFinalize])),
                    (&[S::Starting, S::Pending], Some(S::Recovery), set([A::Warn])),
                ]
            }
        }
        I::Finalized => {
            const {
                &[
                    (&[S::Idle, S::PolicyEngine, S::TransitionEngine], None, Actions::NONE),
                    (
                        &[
                            S::Election,
                            S::Integration,
                            S::NotDc,
                            S::Recovery,
                            S::ReleaseDc,
                            S::Stopping,
                            S::Terminate,
                            S::Halt,
                        ],
                        None,
                        set([A::Warn]),
                    ),
                    (&[S::FinalizeJoin], Some(S::PolicyEngine), set([A::DcJoinFinal, A::TeCancel])),
                    (&[S::Starting, S::Pending], Some(S::Recovery), set([A::Warn])),
                ]
            }
        }
        I::NodeJoin => {
            const {
                &[
                    (
                        &[S::Idle, S::TransitionEngine],
                        Some(S::Integration),
                        set([A::TeHalt, A::DcJoinOfferOne]),
                    ),
                    (
                        &[
                            S::Election,
                            S::NotDc,
                            S::Recovery,
                            S::ReleaseDc,
                            S::Pending,
                            S::Stopping,
                            S::Terminate,
                            S::Halt,
                        ],
                        None,
                        set([A::Warn]),
                    ),
                    (&[S::Integration], None, set([A::DcJoinOfferOne])),
                    (
                        &[S::FinalizeJoin, S::PolicyEngine],
                        Some(S::Integration),
                        set([A::DcJoinOfferOne]),
                    ),
                    (&[S::Starting], Some(S::Recovery), set([A::Warn])),
                ]
            }
        }
        I::NotDc => {
            const {
                &[
                    (&[S::Idle], Some(S::Recovery), set([A::Warn]).and(Actions::RELEASE)),
                    (&[S::Election], None, set([A::Error, A::ElectionStart, A::DcTimerStop])),
                    (
                        &[S::Integration, S::FinalizeJoin, S::PolicyEngine, S::TransitionEngine],
                        Some(S::Recovery),
                        set([A::Error]).and(Actions::RELEASE),
                    ),
                    (&[S::NotDc], None, set([A::Log])),
                    (&[S::Recovery, S::ReleaseDc], None, set([A::Error]).and(Actions::RELEASE)),
                    (&[S::Starting], Some(S::Recovery), set([A::Warn])),
                    (&[S::Pending], Some(S::NotDc), set([A::Log, A::DcTimerStop])),
                    (&[S::Stopping, S::Terminate, S::Halt], None, set([A::Warn])),
                ]
            }
        }
        I::Recovered => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Integration,
                            S::NotDc,
                            S::PolicyEngine,
                            S::ReleaseDc,
                            S::Starting,
                            S::Pending,
                            S::Stopping,
                            S::Terminate,
                            S::TransitionEngine,
                            S::Halt,
                        ],
                        None,
                        set([A::Warn]),
                    ),
                    (&[S::Election], None, set([A::ElectionVote])),
                    (&[S::FinalizeJoin], Some(S::Integration), set([A::Warn])),
                    (&[S::Recovery], Some(S::Pending), set([A::Log])),
                ]
            }
        }
        I::ReleaseFail => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Election,
                            S::Integration,
                            S::FinalizeJoin,
                            S::TransitionEngine,
                        ],
                        Some(S::Stopping),
                        set([A::Warn]),
                    ),
                    (
                        &[S::NotDc, S::Pending, S::Stopping, S::Terminate, S::Halt],
                        None,
                        set([A::Warn]),
                    ),
                    (&[S::PolicyEngine, S::ReleaseDc], Some(S::Stopping), Actions::NONE),
                    (&[S::Recovery], Some(S::Stopping), set([A::Warn, A::ShutdownReq])),
                    (&[S::Starting], Some(S::Recovery), set([A::Warn])),
                ]
            }
        }
        I::ReleaseSuccess => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Integration,
                            S::FinalizeJoin,
                            S::PolicyEngine,
                            S::Starting,
                            S::TransitionEngine,
                        ],
                        Some(S::Recovery),
                        set([A::Warn]),
                    ),
                    (
                        &[S::Election, S::NotDc, S::Recovery, S::Stopping, S::Terminate, S::Halt],
                        None,
                        set([A::Warn]),
                    ),
                    (&[S::ReleaseDc], Some(S::Pending), set([A::Log])),
                    (&[S::Pending], None, set([A::Log])),
                ]
            }
        }
        I::Restart => {
            const {
                &[
                    (&[S::Idle], None, Actions::NONE),
                    (&[S::Election], None, set([A::Log, A::ElectionVote])),
                    (&[S::Integration], None, set([A::Log, A::DcJoinOfferAll])),
                    (&[S::FinalizeJoin], None, set([A::Log, A::DcJoinFinalize])),
                    (
                        &[S::NotDc, S::Starting, S::Pending, S::Stopping, S::Terminate],
                        None,
                        set([A::Log]),
                    ),
                    (&[S::PolicyEngine], None, set([A::Log, A::PeInvoke])),
                    (&[S::Recovery], None, set([A::Log, A::Recover]).and(Actions::RELEASE)),
                    (&[S::ReleaseDc], None, set([A::Log]).and(Actions::RELEASE)),
                    (&[S::TransitionEngine], None, set([A::Log, A::TeInvoke])),
                    (&[S::Halt], None, set([A::Warn])),
                ]
            }
        }
        I::TeSuccess => {
            const {
                &[
                    (&[S::Idle], None, set([A::Log])),
                    (
                        &[
                            S::Election,
                            S::Integration,
                            S::FinalizeJoin,
                            S::PolicyEngine,
                            S::ReleaseDc,
                            S::Stopping,
                            S::Terminate,
                            S::Halt,
                        ],
                        None,
                        set([A::Warn]),
                    ),
                    (&[S::NotDc, S::Pending], None, set([A::Error])),
                    (&[S::Recovery], None, set([A::Recover, A::Warn])),
                    (&[S::Starting], Some(S::Recovery), set([A::Error])),
                    (&[S::TransitionEngine], Some(S::Idle), set([A::Log])),
                ]
            }
        }
        I::Router => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Election,
                            S::Integration,
                            S::FinalizeJoin,
                            S::NotDc,
                            S::PolicyEngine,
                            S::Recovery,
                            S::ReleaseDc,
                            S::Starting,
                            S::Pending,
                            S::Stopping,
                            S::Terminate,
                            S::TransitionEngine,
                        ],
                        None,
                        set([A::MsgRoute]),
                    ),
                    (&[S::Halt], None, set([A::Warn, A::MsgRoute])),
                ]
            }
        }
        I::Shutdown => {
            const {
                &[
                    (&[S::Idle], Some(S::PolicyEngine), set([A::Log, A::ShutdownReq])),
                    (&[S::Election], None, set([A::Log, A::ShutdownReq, A::ElectionVote])),
                    (
                        &[S::Integration, S::FinalizeJoin, S::PolicyEngine],
                        None,
                        set([A::Log, A::ShutdownReq]),
                    ),
                    (&[S::NotDc, S::Pending], None, set([A::ShutdownReq])),
                    (
                        &[S::Recovery],
                        Some(S::Stopping),
                        set([A::Warn]).and(Actions::EXIT).and(Actions::RELEASE),
                    ),
                    (&[S::ReleaseDc], None, set([A::Warn, A::ShutdownReq])),
                    (&[S::Starting], Some(S::Stopping), set([A::Warn]).and(Actions::EXIT)),
                    (&[S::Stopping, S::Terminate], None, set([A::Log])),
                    (&[S::TransitionEngine], Some(S::PolicyEngine), set([A::Warn, A::ShutdownReq])),
                    (
                        &[S::Halt],
                        Some(S::Election),
                        set([A::Warn, A::ElectionStart, A::ShutdownReq]),
                    ),
                ]
            }
        }
        I::Stop => {
            const {
                &[
                    (
                        &[S::Idle, S::FinalizeJoin, S::Recovery, S::ReleaseDc],
                        Some(S::Stopping),
                        set([A::Error]).and(Actions::RELEASE).and(Actions::EXIT),
                    ),
                    (
                        &[S::Election],
                        Some(S::Stopping),
                        Actions::NONE.and(Actions::RELEASE).and(Actions::EXIT),
                    ),
                    (
                        &[S::Integration, S::PolicyEngine],
                        Some(S::Stopping),
                        set([A::Warn]).and(Actions::RELEASE).and(Actions::EXIT),
                    ),
                    (&[S::NotDc, S::Starting, S::Pending], Some(S::Stopping), Actions::EXIT),
                    (&[S::Stopping], None, Actions::EXIT),
                    (&[S::Terminate], None, set([A::Error, A::Exit1])),
                    (
                        &[S::TransitionEngine],
                        Some(S::Stopping),
                        set([A::Log]).and(Actions::RELEASE).and(Actions::EXIT),
                    ),
                    (
                        &[S::Halt],
                        Some(S::Stopping),
                        set([A::Warn]).and(Actions::RELEASE).and(Actions::EXIT),
                    ),
                ]
            }
        }
        I::Terminate => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Election,
                            S::Integration,
                            S::FinalizeJoin,
                            S::NotDc,
                            S::PolicyEngine,
                            S::Recovery,
                            S::ReleaseDc,
                            S::Pending,
                            S::TransitionEngine,
                            S::Halt,
                        ],
                        Some(S::Terminate),
                        set([A::Error]).and(Actions::EXIT),
                    ),
                    (&[S::Starting, S::Stopping], Some(S::Terminate), Actions::EXIT),
                    (&[S::Terminate], None, Actions::EXIT),
                ]
            }
        }
        I::Startup => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Election,
                            S::Integration,
                            S::FinalizeJoin,
                            S::NotDc,
                            S::PolicyEngine,
                            S::TransitionEngine,
                        ],
                        Some(S::Recovery),
                        set([A::Warn]),
                    ),
                    (
                        &[S::Recovery, S::ReleaseDc, S::Stopping, S::Terminate, S::Halt],
                        None,
                        set([A::Warn]),
                    ),
                    (
                        &[S::Starting],
                        None,
                        set([
                            A::Log,
                            A::Startup,
                            A::CibStart,
                            A::LrmConnect,
                            A::HaConnect,
                            A::Readconfig,
                            A::Started,
                        ]),
                    ),
                    (&[S::Pending], None, set([A::Log])),
                ]
            }
        }
        I::PeSuccess => {
            const {
                &[
                    (
                        &[S::Idle, S::ReleaseDc, S::Pending, S::TransitionEngine],
                        None,
                        set([A::Log]),
                    ),
                    (
                        &[S::Election, S::Integration, S::FinalizeJoin, S::Halt],
                        None,
                        set([A::Warn]),
                    ),
                    (&[S::NotDc], None, Actions::NONE),
                    (&[S::PolicyEngine], Some(S::TransitionEngine), set([A::TeInvoke])),
                    (&[S::Recovery], None, set([A::Recover, A::Log])),
                    (&[S::Starting], Some(S::Recovery), set([A::Error])),
                    (&[S::Stopping, S::Terminate], None, set([A::Error])),
                ]
            }
        }
        I::JoinOffer => {
            const {
                &[
                    (
                        &[S::Idle, S::PolicyEngine, S::TransitionEngine],
                        None,
                        set([A::Warn, A::ClJoinRequest]),
                    ),
                    (&[S::Election], None, set([A::Warn, A::ElectionVote])),
                    (&[S::Integration, S::FinalizeJoin], None, set([A::ClJoinRequest])),
                    (&[S::NotDc], Some(S::Pending), set([A::ClJoinRequest, A::DcTimerStop])),
                    (
                        &[S::Recovery, S::ReleaseDc],
                        None,
                        set([A::Warn, A::ClJoinRequest, A::DcTimerStop]),
                    ),
                    (&[S::Starting, S::Stopping, S::Terminate], None, set([A::Log])),
                    (&[S::Pending], None, set([A::ClJoinRequest, A::DcTimerStop])),
                    (&[S::Halt], None, set([A::Warn])),
                ]
            }
        }
        I::JoinRequest => {
            const {
                &[
                    (
                        &[S::Idle, S::FinalizeJoin, S::PolicyEngine, S::TransitionEngine],
                        Some(S::Integration),
                        set([A::DcJoinOfferOne]),
                    ),
                    (
                        &[
                            S::Election,
                            S::NotDc,
                            S::Recovery,
                            S::ReleaseDc,
                            S::Starting,
                            S::Pending,
                            S::Stopping,
                            S::Terminate,
                            S::Halt,
                        ],
                        None,
                        set([A::Warn]),
                    ),
                    (&[S::Integration], None, set([A::DcJoinProcessReq])),
                ]
            }
        }
        I::JoinResult => {
            const {
                &[
                    (
                        &[S::Idle, S::PolicyEngine, S::TransitionEngine],
                        Some(S::Integration),
                        set([A::Error, A::TeHalt, A::DcJoinOfferAll]),
                    ),
                    (&[S::Election, S::Recovery, S::ReleaseDc], None, set([A::Log])),
                    (&[S::Integration], None, set([A::Log, A::ClJoinResult, A::DcJoinProcessAck])),
                    (&[S::FinalizeJoin], None, set([A::ClJoinResult, A::DcJoinProcessAck])),
                    (&[S::NotDc], Some(S::Pending), set([A::Error, A::ClJoinAnnounce])),
                    (&[S::Starting], Some(S::Recovery), set([A::Error])),
                    (&[S::Pending], None, set([A::ClJoinResult])),
                    (&[S::Stopping, S::Terminate], None, set([A::Error])),
                    (&[S::Halt], None, set([A::Warn])),
                ]
            }
        }
        I::WaitForEvent => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Election,
                            S::Integration,
                            S::FinalizeJoin,
                            S::NotDc,
                            S::PolicyEngine,
                            S::Recovery,
                            S::ReleaseDc,
                            S::Starting,
                            S::Pending,
                            S::Stopping,
                            S::Terminate,
                            S::TransitionEngine,
                        ],
                        None,
                        set([A::Log]),
                    ),
                    (&[S::Halt], None, set([A::Warn])),
                ]
            }
        }
        I::DcHeartbeat => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Integration,
                            S::FinalizeJoin,
                            S::PolicyEngine,
                            S::TransitionEngine,
                        ],
                        None,
                        set([A::Error]),
                    ),
                    (&[S::Election], None, set([A::Warn, A::ElectionVote])),
                    (&[S::NotDc, S::Recovery, S::Stopping, S::Terminate], None, Actions::NONE),
                    (&[S::ReleaseDc, S::Starting], None, set([A::Log])),
                    (&[S::Pending], None, set([A::Log, A::ClJoinAnnounce])),
                    (&[S::Halt], None, set([A::Warn])),
                ]
            }
        }
        I::LrmEvent => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Election,
                            S::Integration,
                            S::FinalizeJoin,
                            S::NotDc,
                            S::PolicyEngine,
                            S::Recovery,
                            S::ReleaseDc,
                            S::Starting,
                            S::Pending,
                            S::Stopping,
                            S::Terminate,
                            S::TransitionEngine,
                        ],
                        None,
                        set([A::LrmEvent]),
                    ),
                    (&[S::Halt], None, set([A::Warn])),
                ]
            }
        }
        I::Pending => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Election,
                            S::Integration,
                            S::FinalizeJoin,
                            S::PolicyEngine,
                            S::TransitionEngine,
                        ],
                        Some(S::Pending),
                        Actions::NONE.and(Actions::RELEASE).and(Actions::DC_TIMER_RESTART),
                    ),
                    (&[S::NotDc], Some(S::Pending), set([A::Log]).and(Actions::DC_TIMER_RESTART)),
                    (&[S::Recovery, S::Stopping, S::Terminate, S::Halt], None, set([A::Warn])),
                    (&[S::ReleaseDc], None, set([A::Warn]).and(Actions::DC_TIMER_RESTART)),
                    (
                        &[S::Starting],
                        Some(S::Pending),
                        set([A::Log, A::DcTimerStart, A::ClJoinQuery]),
                    ),
                    (&[S::Pending], None, set([A::Log]).and(Actions::DC_TIMER_RESTART)),
                ]
            }
        }
        I::Halt => {
            const {
                &[
                    (
                        &[
                            S::Idle,
                            S::Election,
                            S::Integration,
                            S::FinalizeJoin,
                            S::NotDc,
                            S::PolicyEngine,
                            S::Pending,
                            S::TransitionEngine,
                        ],
                        Some(S::Halt),
                        set([A::Warn]),
                    ),
                    (
                        &[
                            S::Recovery,
                            S::ReleaseDc,
                            S::Starting,
                            S::Stopping,
                            S::Terminate,
                            S::Halt,
                        ],
                        None,
                        set([A::Warn]),
                    ),
                ]
            }
        }
    }
}
