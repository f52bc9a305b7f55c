//! What other libraries got wrong, one test a case, named after where it was reported.
//!
//! Each says in its own words what went wrong there and what is promised here. Much of it is the clauses' own tests in a
//! reporter's clothes; it stands here all the same, so that whoever knows a case finds what became of it. Cases of
//! client-go's queue that need no server are in `core/src/queue/tests/client_go.rs`, those of Go kubehandler's queue
//! without an event loop in `src/work_queue/tests.rs`.

mod frameworks;
mod go_kubehandler;
mod kubernetes;
