//! What goes wrong next: by rate, drawn from the seed, or as a test ordered it.

use std::collections::VecDeque;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::options::{Fault, Faults};

/// The faults to come.
#[derive(Debug)]
pub(crate) struct FaultDraw {
    rng: ChaCha8Rng,
    rates: Vec<(Fault, f64)>,
    /// Faults for the next calls of an endpoint, whatever the rates say.
    ordered: VecDeque<(String, Fault)>,
}

/// What goes wrong with a call.
#[derive(Debug, Default)]
pub(crate) struct Drawn {
    /// With the call itself.
    pub(crate) fault: Option<Fault>,
    /// With the leads that it touches or shows, meanwhile.
    pub(crate) beside: Vec<Fault>,
}

impl FaultDraw {
    pub(crate) fn new(seed: u64, faults: &Faults) -> Self {
        let rates = faults.rates.iter().map(|(fault, rate)| (*fault, *rate)).collect();
        Self { rng: ChaCha8Rng::seed_from_u64(seed ^ 0xfa17), rates, ordered: VecDeque::new() }
    }

    /// The next call of this endpoint goes wrong in this way.
    pub(crate) fn order(&mut self, endpoint: String, fault: Fault) {
        self.ordered.push_back((endpoint, fault));
    }

    /// What goes wrong with a call of this endpoint. File faults wait for a file, partial merges
    /// for a merge.
    pub(crate) fn draw(&mut self, endpoint: &str) -> Drawn {
        if let Some(place) = self.ordered.iter().position(|(wanted, _)| wanted == endpoint) {
            let ordered = self.ordered.remove(place).map(|(_, fault)| fault);
            let beside = ordered.filter(|fault| fault.comes_beside());
            return Drawn {
                fault: ordered.filter(|fault| !fault.comes_beside()),
                beside: beside.into_iter().collect(),
            };
        }
        let mut drawn = Drawn::default();
        for (fault, rate) in &self.rates {
            // Every rate is drawn for every call, so that one fault's rate does not shift another's
            // fate.
            let hit = self.rng.random::<f64>() < *rate;
            if !hit || !concerns(*fault, endpoint) {
                continue;
            }
            if fault.comes_beside() {
                drawn.beside.push(*fault);
            } else if drawn.fault.is_none() {
                drawn.fault = Some(*fault);
            }
        }
        drawn
    }

    /// A number below `bound`, for delays.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.rng.random_range(0..bound) }
    }

    /// The first half of a request id.
    pub(crate) fn request_number(&mut self) -> u32 {
        self.rng.next_u32() & 0x1_ffff
    }
}

fn concerns(fault: Fault, endpoint: &str) -> bool {
    match fault {
        Fault::HalfFile | Fault::BadChecksum | Fault::NoFile => endpoint.ends_with("/file"),
        Fault::FailedExport => endpoint.ends_with("/enqueue"),
        Fault::PartialMerge | Fault::IgnoredMerge | Fault::LateMerge => {
            endpoint.ends_with("/merge")
        }
        Fault::StaleRead | Fault::MissingRead => endpoint == "GET /rest/v1/leads",
        Fault::NoResult => {
            matches!(
                endpoint,
                "GET /rest/v1/leads" | "GET /rest/v1/lead/{id}" | "GET /rest/v1/list/{id}/leads"
            ) || matches!(
                endpoint,
                "GET /rest/v1/lists/{id}/leads" | "GET /rest/v1/leads/programs/{id}"
            )
        }
        Fault::MeddleChange | Fault::MeddleOptOut | Fault::MeddleDelete | Fault::MeddleMerge => {
            endpoint == "GET /rest/v1/leads"
                || endpoint == "POST /rest/v1/leads"
                || endpoint.ends_with("/merge")
        }
        _ => true,
    }
}
