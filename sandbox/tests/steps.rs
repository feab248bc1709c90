//! Steps in real namespaces, as root or as a user with subordinate ids.

#![allow(clippy::print_stdout, reason = "this test has a harness of its own")]
#![allow(clippy::unwrap_used, reason = "claims are tests, which the lint cannot see")]

#[path = "steps/allocator.rs"]
mod allocator;
#[path = "steps/apart.rs"]
mod apart;
#[path = "steps/command.rs"]
mod command;
#[path = "steps/devices.rs"]
mod devices;
#[path = "steps/emulation.rs"]
mod emulation;
#[path = "steps/finality.rs"]
mod finality;
#[path = "steps/fixture.rs"]
mod fixture;
#[path = "steps/isolation.rs"]
mod isolation;
#[path = "steps/lifetime.rs"]
mod lifetime;
#[path = "steps/masked.rs"]
mod masked;
#[path = "steps/mounts.rs"]
mod mounts;
#[path = "steps/one_id.rs"]
mod one_id;
#[path = "steps/small.rs"]
mod small;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use fixture::Fixture;
use rustix::thread::{Gid, Uid, set_thread_res_gid, set_thread_res_uid};
use wythe_sandbox::enter::IdChoice;

/// A claim and the function that fails when it is wrong.
type Claim = (&'static str, fn(&Fixture));

/// Names a claim after its function.
macro_rules! claims {
    ($($module:ident: $($name:ident)+;)+) => {
        &[$($((concat!(stringify!($module), "::", stringify!($name)), $module::$name)),+),+]
    };
}

const CLAIMS: &[Claim] = claims! {
    command: a_command_prints_on_both_streams exit_codes_are_passed_on
        a_terminal_is_that_of_the_session the_output_belongs_to_the_user a_signal_is_an_outcome a_missing_command_is_127
        a_file_that_cannot_be_executed_is_126 a_file_that_is_still_being_written_is_waited_for
        the_environment_is_the_steps_alone the_working_directory_is_entered_inside_the_root
        a_missing_working_directory_is_an_error_that_names_it the_identity_is_numeric_and_whole
        the_host_name_is_set large_output_arrives_whole limits_are_set
        a_nul_byte_is_refused;
    isolation: capabilities_are_dockers_fourteen another_user_has_none_in_effect
        the_filter_answers_eperm only_the_standard_descriptors_are_open sigpipe_is_default
        kernel_files_are_masked entries_of_proc_cannot_be_changed root_of_a_step_is_not_root_of_the_machine sys_is_read_only devices_work device_nodes_cannot_be_changed a_device_that_a_step_is_fed_with_cannot_be_changed linked_kernel_directories_stay_inside
        the_builders_program_cannot_be_written proc_shows_only_the_step
        a_descriptor_is_no_working_directory without_network_only_loopback_is_up
        a_network_of_its_own_has_what_the_builder_listens_with only_with_a_network_are_name_servers_known
        insecure_steps_have_every_capability the_old_root_is_gone the_umask_is_0022;
    mounts: generated_files_are_read_only a_root_that_may_not_change_has_mounts_that_may nothing_is_left_of_an_empty_image
        what_is_shared_takes_mounts_inside_and_keeps_their_places
        binds_show_files_and_directories a_read_only_bind_refuses_writes
        a_writable_bind_writes_through layers_take_writes_away_with_them
        layers_without_scratch_are_read_only a_subpath_stays_inside_its_source
        a_tmpfs_has_its_size secrets_are_files_of_their_owner
        a_target_behind_links_is_made_and_removed what_the_step_put_into_a_target_stays
        a_linked_target_stays_inside whiteouts_and_opaque_directories_are_written
        an_existing_target_is_used later_layers_cover_earlier_ones a_socket_is_bound_like_a_file directories_may_have_any_path
        a_missing_layer_is_named many_layers_are_stacked_and_too_many_refused
        what_a_layer_removes_is_gone_however_many_there_are
        layers_that_are_mounted_show_what_they_show_apart
        what_is_mounted_of_other_layers_is_not_looked_at
        a_directory_with_all_files_is_a_root;
    devices: a_device_is_kept_as_a_marked_file only_who_may_makes_devices
        no_link_of_proc_leads_a_device_anywhere a_device_that_cannot_be_kept_leaves_nothing
        a_device_has_the_group_of_its_maker devices_appear_where_the_step_means_them
        devices_look_like_devices copies_of_devices_are_devices
        later_steps_see_the_devices_of_a_layer what_others_write_on_their_files_is_no_device
        an_awaited_device_ends_the_step
        an_open_device_is_given_away;
    masked: a_masked_proc_shows_nothing_of_any_process a_probe_tells_that_proc_is_masked
        a_filter_without_a_listener_refuses_what_is_for_one;
    small: programs_of_32_bits_open_the_sockets_of_others programs_of_32_bits_see_devices
        sockets_of_programs_of_32_bits_are_kept_apart;
    apart: a_step_reaches_its_own_sockets_wherever_they_are
        a_socket_is_named_through_an_open_directory
        no_step_reaches_the_sockets_of_another
        a_path_that_changes_meanwhile_leads_to_no_shared_directory
        a_name_that_is_taken_is_not_given_again
        what_an_earlier_step_left_is_no_socket
        a_socket_has_the_owner_and_mode_of_its_maker
        addresses_are_read_as_the_kernel_reads_them
        other_families_are_bound_with_the_rights_of_their_owner
        a_thread_with_files_of_its_own_binds_its_own
        who_has_a_directory_alone_gets_sockets_in_it;
    finality: a_file_that_others_can_write_fails_the_step
        nothing_is_changed_through_what_others_hold a_message_on_its_way_is_a_writer
        no_abstract_socket_of_others_is_reached;
    one_id: users_and_owners_are_emulated_with_one_id;
    emulation: programs_of_another_architecture_run an_emulator_cannot_be_written_by_a_step;
    lifetime: daemons_die_with_the_step cancel_kills_the_tree_at_once
        cancel_lets_a_handler_finish a_deaf_handler_is_killed_after_the_grace a_timeout_kills
        a_cancelled_switch_starts_nothing the_step_dies_with_its_builder
        the_step_dies_with_the_process_that_keeps_it
        a_builder_that_ends_leaves_no_process_to_others
        steps_run_side_by_side every_probe_finds_what_it_needs
        arguments_and_environment_survive_the_entry nothing_is_allocated_between_clone_and_execute;
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    if !wythe_sandbox::enter::is_entered()
        && arguments.first().is_some_and(|it| it == "role=probes")
    {
        for probe in wythe_sandbox::probe::probes(&std::env::temp_dir()) {
            println!("{probe:?}");
        }
        return ExitCode::SUCCESS;
    }
    if arguments.first().is_some_and(|it| it == "role=connect") {
        println!("{}", finality::connect(&arguments[1]));
        return ExitCode::SUCCESS;
    }
    let is_single = arguments.first().is_some_and(|it| it == "role=one-id");
    let choice = if is_single { IdChoice::Own } else { IdChoice::Subordinate };
    match wythe_sandbox::enter::init_with(choice) {
        Ok(entry) => println!("ids {}", entry.ids.description()),
        Err(error) => {
            println!("{error}: {}", error.cause);
            return ExitCode::FAILURE;
        }
    }
    allocator::watch_this_process();
    // What a store does for each file: the layers of these claims are of root of the steps.
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).unwrap();
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).unwrap();
    let fixture = Fixture::new();
    if arguments.first().is_some_and(|word| word == "role=latency") {
        lifetime::measure(&fixture);
        return ExitCode::SUCCESS;
    }
    if arguments.first().is_some_and(|word| word == "role=binds") {
        apart::measure(&fixture);
        return ExitCode::SUCCESS;
    }
    if arguments.first().is_some_and(|word| word == "role=listened") {
        masked::play_unheard(&fixture);
        return ExitCode::SUCCESS;
    }
    if arguments.first().is_some_and(|word| word == "role=masked") {
        masked::play(&fixture);
        return ExitCode::SUCCESS;
    }
    if is_single {
        one_id::play(&fixture);
        return ExitCode::SUCCESS;
    }
    if let Some(role) = arguments.first().and_then(|word| word.strip_prefix("role=")) {
        lifetime::play(role, &fixture);
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|word| !word.starts_with('-'));
    let chosen = CLAIMS.iter().filter(|(name, _)| filter.is_none_or(|part| name.contains(part)));
    let wrong = chosen.filter(|(name, claim)| !holds(name, *claim, &fixture));
    if wrong.count() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn holds(name: &str, claim: fn(&Fixture), fixture: &Fixture) -> bool {
    let holds = catch_unwind(AssertUnwindSafe(|| claim(fixture))).is_ok();
    println!("{name} ... {}", if holds { "ok" } else { "FAILED" });
    holds
}
