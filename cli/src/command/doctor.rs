//! `wythe doctor`.

use wythe_sandbox::probe::{self, Availability, Need, Probe};

use crate::args::store::DoctorArgs;
use crate::failure::{Class, Failure};
use crate::host;
use crate::limits;
use crate::session::{Session, store_directory};

/// Tries what builds need, and says what helps where it does not work.
pub(crate) fn run(_args: &DoctorArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store_path()?;
    // The probes try overlays where the layers are.
    store_directory(&store)?;
    let (probes, ids) = (probe::probes(&store), probe::ids());
    session.print(&format!("wythe {}", env!("CARGO_PKG_VERSION")))?;
    session.print(&format!("kernel {}", probe::kernel_release()))?;
    session.print(&format!("store {}", store.display()))?;
    session.print(&emulated(&host::emulators(&session.settings).architectures()))?;
    if let Some(ids) = ids {
        session.print(&format!("steps {ids}"))?;
    }
    for line in probes.iter().flat_map(lines).chain(limits::lines()) {
        session.print(&line)?;
    }
    if probes.iter().any(|probe| probe.need == Need::EveryStep && is_missing(probe)) {
        return without_namespaces(&probes, session);
    }
    if probes.iter().any(is_missing) {
        session.print("steps run here, with what is said above")?;
    }
    Ok(())
}

/// What is told where something is missing that every step with namespaces needs.
fn without_namespaces(probes: &[Probe], session: &Session) -> Result<(), Failure> {
    let names: Vec<&str> = probes
        .iter()
        .filter(|probe| probe.need == Need::InTheirStead && !is_missing(probe))
        .map(|probe| probe.name)
        .collect();
    if names.is_empty() {
        return Err(Failure::new(Class::Environment, "steps cannot run here"));
    }
    let has_one_id = names.contains(&probe::ONE_ID);
    // Where namespaces can be entered, nothing less is taken unless that is asked for.
    if probes.first().is_some_and(|first| !is_missing(first)) {
        let kind = if has_one_id { "single-id" } else { "chroot" };
        let text = format!("steps run here with --isolation={kind} only");
        let failure = Failure::new(Class::Environment, text);
        return Err(failure.remedy("what that does not promise is in docs/security.md"));
    }
    session.print(if has_one_id {
        "steps run here with one id, and others are emulated (docs/kernels.md)"
    } else {
        "steps run here in a chroot, which protects from nothing they do (docs/security.md)"
    })
}

fn is_missing(probe: &Probe) -> bool {
    probe.outcome != Availability::Available
}

/// For which other architectures steps can run.
fn emulated(architectures: &[&str]) -> String {
    match architectures {
        [] => "emulators none (qemu-user-static has them)".to_owned(),
        found => format!("emulators {}", found.join(" ")),
    }
}

fn lines(probe: &Probe) -> Vec<String> {
    match &probe.outcome {
        Availability::Available => vec![format!("  ok  {}", probe.name)],
        Availability::Unavailable { reason } => {
            let mark = match probe.need {
                Need::EveryStep | Need::InTheirStead => "  no ",
                Need::SomeSteps => "part ",
            };
            let mut lines = vec![format!("{mark} {}: {reason}", probe.name)];
            lines.extend(probe.remedy.map(|remedy| format!("      help: {remedy}")));
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_work_comes_with_a_reason_and_a_remedy() {
        let outcome = Availability::Unavailable { reason: "no such device".to_owned() };
        let need = Need::EveryStep;
        let probe = Probe { name: "overlay", need, outcome, remedy: Some("load the module") };
        assert_eq!(lines(&probe), ["  no  overlay: no such device", "      help: load the module"]);
        let probe = Probe { need: Need::SomeSteps, ..probe };
        assert_eq!(lines(&probe)[0], "part  overlay: no such device");
    }
}
