//! The store's contract as cases; every backend runs all of them.
//!
//! A backend plugs in with [`store_suite!`] and a [`Backend`](world::Backend) that opens it on empty ground. A case knows
//! the trait and nothing below it; what only one backend can do (tampering, a full disk) is tested beside that backend.

pub(crate) mod alike;
pub(crate) mod dispatch;
pub(crate) mod holding;
pub(crate) mod intake;
pub(crate) mod onboarding;
pub(crate) mod people;
pub(crate) mod proving;
pub(crate) mod receipts;
pub(crate) mod setting_up;
pub(crate) mod settling;
pub(crate) mod trace;
pub(crate) mod webhooks;
pub(crate) mod world;

/// Cases that open their store anew: nobody else may hold it.
pub(crate) const OPENS_AGAIN: &[&str] = &["codes_are_never_given_twice_and_only_the_stores_own_are_taken"];

/// Runs every case on a backend.
macro_rules! store_suite {
    ($backend:ty) => {
        $crate::store::suite::store_suite! { @cases $backend;
            setting_up: [
                names_are_unique_within_their_owner
                credentials_come_back_and_are_replaced
                keys_are_found_by_hash_until_revoked
                what_setup_changes_raises_the_generation
                a_complete_sync_closes_what_it_no_longer_lists
                an_older_sync_changes_nothing
                forms_keep_their_versions
                the_older_account_wins_a_shared_posting_id
                publishable_keys_list_their_origins_while_they_live
                sandbox_accounts_are_a_world_of_their_own
                a_held_test_waits_for_the_sandboxes_posting
                a_job_has_one_leaseholder
            ]
            onboarding: [
                an_overlay_is_versioned_and_in_force_at_once
                an_account_s_forms_and_recent_documents_are_read
                what_a_vendor_took_is_listed
                a_checklist_keeps_the_last_word
                an_account_that_is_not_live_holds_until_it_is
                going_live_while_paused_sends_nothing_yet
                what_awaited_its_posting_waits_for_going_live_too
                two_sets_of_secrets_live_until_one_is_destroyed
                other_secrets_end_a_rotation
            ]
            intake: [
                an_application_is_readable_by_its_tenant_only
                the_same_key_gets_the_same_receipt
                what_a_key_is_bound_to_can_be_asked
                concurrent_requests_with_one_key_are_one_application
                a_key_is_bound_to_its_request_and_its_tenant
                identical_bytes_without_a_key_are_one_within_ten_minutes
                a_repeat_is_linked_to_the_first
                repeats_follow_the_accounts_policy
                codes_are_never_given_twice_and_only_the_stores_own_are_taken
                another_tenants_account_is_no_target
                many_at_once_are_what_they_are_one_by_one
                refusals_and_edge_counts_are_taken
            ]
            dispatch: [
                nothing_is_due_before_its_time
                fresh_goes_before_bulk_and_old_before_new
                one_claim_at_a_time_for_a_person_and_posting
                a_claimed_delivery_is_claimed_once
                a_worker_gets_what_was_accepted
                a_lost_lease_can_write_nothing
                a_lease_that_ran_out_begins_nothing
                an_expired_attempt_is_verified_from_its_beginning
                an_expired_claim_is_due_again
                a_released_claim_returns_to_where_it_was
                a_delivery_that_keeps_ending_its_worker_is_parked
                lookups_do_not_clear_what_ends_its_worker
                a_step_that_went_well_leaves_its_lease_counted
                a_suspect_is_claimed_as_the_only_one
            ]
            settling: [
                every_consequence_leads_to_its_state
                steps_that_went_well_are_not_repeated
                an_end_and_a_beginning_are_one_commit
                what_may_not_go_on_ends_without_a_beginning
                a_beginning_knows_what_broke_before
                an_attempt_has_to_be_settled_before_the_next
                an_unknown_outcome_is_settled_before_a_resend
                a_resend_uses_up_one_step_of_the_schedule
                a_vendor_record_belongs_to_one_delivery
                a_record_read_back_on_the_way_is_proof_at_the_end
                waiting_does_not_forget_an_unknown_outcome
                the_schedule_counts_what_it_is_told
                settled_deliveries_do_not_move
            ]
            alike: [
                many_that_fail_alike_are_held_in_one_case
                a_probe_that_goes_well_lets_all_go
                who_was_refused_before_stays_refused_and_is_listed
                a_case_of_many_ends_with_the_last_who_is_erased_or_past_their_time
                successes_between_say_that_it_lies_in_each
                a_probe_that_ends_otherwise_makes_room
                what_may_be_on_the_wire_is_found_out_first
                a_replay_may_try_and_a_pause_outlasts_it
                refusals_at_different_jobs_have_nothing_in_common
                what_is_refused_again_and_again_is_refused
                a_probe_whose_outcome_is_unknown_failed
                a_probe_that_waits_for_hours_is_none
                a_record_of_before_says_nothing_of_the_outage
                what_is_let_go_in_a_paused_account_is_held_with_it
            ]
            proving: [
                a_delivered_one_is_read_back_when_due
                a_sighting_proves_and_moves_nothing
                a_record_proves_one_delivery
                what_stands_beside_the_application_does_not_name_the_delivery
                what_is_missed_is_one_case_until_it_is_seen
                a_proof_that_cannot_be_had_says_why
                what_was_erased_is_not_read_back
            ]
            holding: [
                a_paused_account_holds_and_resumes
                an_application_to_a_paused_account_is_held
                a_settlement_can_pause_the_account
                a_backlog_is_moved_piece_by_piece
                in_flight_deliveries_are_held_when_they_settle
                a_held_posting_is_decided_once_known
                an_absent_posting_is_known_after_every_sync
                a_form_is_awaited
                a_decision_is_made_once
                a_replay_queues_a_settled_delivery_again
                what_is_delivered_or_live_is_not_replayed
                what_ends_by_itself_is_not_replayed
                only_what_has_not_gone_out_is_cancelled
            ]
            trace: [
                every_combination_finds_what_it_names
                a_requisition_code_means_its_own_accounts_posting
                a_limit_keeps_the_newest_and_says_so
                a_trace_holds_everything_recorded
                edge_refusals_are_counted_in_the_window
                erasing_leaves_nothing_personal
                what_was_erased_does_not_come_back
                open_cases_are_listed
                retention_removes_what_is_past_its_time
                what_was_sent_under_another_name_of_the_job_is_found
                a_refusal_that_came_again_is_of_both_windows
            ]
            receipts: [
                a_receipt_says_what_was_stored_and_verifies
                a_receipt_is_its_tenants_and_its_worlds_and_goes_with_an_erasure
                a_new_key_signs_what_comes_from_then_on
            ]
            webhooks: [
                a_site_is_told_of_every_settled_delivery
                a_site_is_told_of_what_moves_many_at_once
                a_site_is_told_of_those_that_are_held_for_failing_alike
                a_site_is_told_of_decisions_and_of_an_erasure_once
                an_endpoint_hears_its_own_world_and_what_it_asked_for
                a_move_that_is_not_made_is_not_told
                a_message_is_leased_once_and_settled_under_its_lease
                a_disabled_endpoint_waits_with_a_case
                both_secrets_sign_for_a_while
                a_removed_endpoint_gets_nothing_and_stays_on_the_page
                the_page_is_read_in_pieces
                a_replay_sends_again_under_the_same_id
                a_test_goes_to_a_disabled_endpoint_and_is_not_replayed
                old_messages_go_with_their_time
            ]
        }
    };
    (@cases $backend:ty; $($group:ident: [$($case:ident)*])*) => {
        $(mod $group {
            use super::*;

            $(#[tokio::test]
            async fn $case() {
                let world = $crate::store::suite::world::World::<$backend>::new().await;
                let stays_open = !$crate::store::suite::OPENS_AGAIN.contains(&stringify!($case));
                let store = stays_open.then(|| std::sync::Arc::clone(&world.store));
                $crate::store::suite::$group::$case(world).await;
                // Whatever the case did: nothing was lost, and nothing stands where nobody would find it.
                if let Some(store) = store {
                    assert_eq!(store.ledger().await.unwrap().difference(), 0);
                }
            })*
        })*
    };
}
pub(crate) use store_suite;
