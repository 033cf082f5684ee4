//! Whose rows a verb may reach. A verb names it before its transaction begins; an engine that has a wall between tenants
//! lets through these and no other.

use causeway_core::ids::{AccountId, TenantId};

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One tenant's.
    Tenant(TenantId),
    /// Those of the tenant that has this account.
    Account(AccountId),
    /// None's: what belongs to the installation.
    Nobody,
    /// Every tenant's, and of them only what a lease is made of: who has due work. For reading.
    Leases,
    /// Every tenant's: periodic work, and what is looked up before the tenant is known.
    Every,
}
