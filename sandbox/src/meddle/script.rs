//! What tests ordered for calls to come, and what was done so far.

use super::screens::{Meanwhile, Meddled, Moment};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Script {
    orders: Vec<Order>,
    meddled: Vec<Meddled>,
}

#[derive(Debug)]
struct Order {
    /// Part of the endpoint or of the path.
    endpoint: String,
    /// How many such calls come before.
    before_it: usize,
    moment: Moment,
    meanwhile: Meanwhile,
}

/// What is due at a call.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub(crate) before: Vec<Meanwhile>,
    pub(crate) during: Vec<Meanwhile>,
    pub(crate) after: Vec<Meanwhile>,
}

impl Script {
    /// Orders something for the nth call from now, 1 for the next, whose endpoint or path contains
    /// the text.
    pub(crate) fn order(
        &mut self,
        endpoint: &str,
        nth: usize,
        moment: Moment,
        meanwhile: Meanwhile,
    ) {
        let before_it = nth.saturating_sub(1);
        self.orders.push(Order { endpoint: endpoint.to_owned(), before_it, moment, meanwhile });
    }

    /// A call arrives, by `METHOD /path/{id}` and by `METHOD /path` as it was sent: what is due at
    /// it.
    pub(crate) fn arrive(&mut self, endpoint: &str, path: &str) -> Due {
        let endpoint = format!("{endpoint}.json");
        let mut due = Due::default();
        for mut order in std::mem::take(&mut self.orders) {
            let is_such = endpoint.contains(&order.endpoint) || path.contains(&order.endpoint);
            if !is_such || order.before_it > 0 {
                order.before_it -= usize::from(is_such);
                self.orders.push(order);
                continue;
            }
            match order.moment {
                Moment::Before => due.before.push(order.meanwhile),
                Moment::During => due.during.push(order.meanwhile),
                Moment::After => due.after.push(order.meanwhile),
            }
        }
        due
    }

    pub(super) fn note(&mut self, meddled: Meddled) {
        self.meddled.push(meddled);
    }

    /// Everything that was done so far.
    pub(crate) fn meddled(&self) -> &[Meddled] {
        &self.meddled
    }
}
