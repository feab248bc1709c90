//! In which form registries take statements about images: what one refuses is sent in the next.

use std::collections::BTreeMap;

use wythe_registry::client::Client;
use wythe_registry::error::PushError;
use wythe_registry::learned::Habit;
use wythe_store::oci::reference::Reference;

use crate::error::DeliveryError;
use crate::options::StatementForm;

/// What was sent, in a form that all registries have taken.
#[derive(Debug)]
pub struct Taken<T> {
    /// What sending it came to.
    pub sent: T,
    /// Registries that have refused a form, and the one that followed it.
    pub refused: BTreeMap<String, StatementForm>,
}

/// Sends statements in the first form that is not known to be refused, and in the next wherever it is. What the
/// registries are like is remembered once they have taken one.
///
/// # Errors
///
/// Those of `send`; that a form is refused only of the last.
pub fn in_a_form_that_is_taken<T>(
    registry: &Client,
    names: &[Reference],
    send: impl Fn(StatementForm) -> Result<T, DeliveryError>,
) -> Result<Taken<T>, DeliveryError> {
    let first = names.iter().map(|name| StatementForm::known(registry, name)).max();
    let (mut form, mut refused) = (first.unwrap_or_default(), BTreeMap::new());
    let sent = loop {
        match (send(form), form.next()) {
            (Err(DeliveryError::Push(PushError::Subject { host, .. })), Some(next)) => {
                refused.insert(host, next);
                form = next;
            }
            (sent, _) => break sent?,
        }
    };
    for (host, next) in &refused {
        next.habit().into_iter().for_each(|habit| registry.learn(host, habit));
    }
    Ok(Taken { sent, refused })
}

impl StatementForm {
    /// What is sent where this is refused.
    fn next(self) -> Option<Self> {
        match self {
            Self::Artifact => Some(Self::ArtifactByConfig),
            Self::ArtifactByConfig => Some(Self::Image),
            Self::Image => None,
        }
    }

    /// What a registry does for which this comes first.
    fn habit(self) -> Option<Habit> {
        match self {
            Self::Artifact => None,
            Self::ArtifactByConfig => Some(Habit::RefusesArtifactTypes),
            Self::Image => Some(Habit::RefusesSubjects),
        }
    }

    /// The first that the registry of a name is not known to refuse.
    fn known(registry: &Client, name: &Reference) -> Self {
        let is_known =
            |form: &Self| form.habit().is_some_and(|habit| registry.is_known_to(name, habit));
        [Self::Image, Self::ArtifactByConfig].into_iter().find(is_known).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use wythe_registry::error::{RegistryError, RegistryProblem};
    use wythe_registry::settings::Settings;
    use wythe_store::digest::Digest;

    use super::StatementForm::{Artifact, ArtifactByConfig, Image};
    use super::*;

    fn refusal(host: &str) -> DeliveryError {
        let (method, url) = ("PUT".to_owned(), "https://r.io/v2/".to_owned());
        let error = Box::new(RegistryError { method, url, problem: RegistryProblem::PlainHttp });
        PushError::Subject { digest: Digest::of(b""), host: host.to_owned(), error }.into()
    }

    /// Sends to registries of which each takes forms from one on, and says which were tried and what it came to.
    fn send(
        client: &Client,
        registries: &[(&str, StatementForm)],
    ) -> (Vec<StatementForm>, Taken<StatementForm>) {
        let names: Vec<Reference> =
            registries.iter().map(|(host, _)| format!("{host}/app").parse().unwrap()).collect();
        let tried = RefCell::new(Vec::new());
        let taken = in_a_form_that_is_taken(client, &names, |form| {
            tried.borrow_mut().push(form);
            match registries.iter().find(|(_, from)| form < *from) {
                Some((host, _)) => Err(refusal(host)),
                None => Ok(form),
            }
        });
        (tried.into_inner(), taken.unwrap())
    }

    #[test]
    fn what_is_refused_is_sent_in_the_next_form_and_from_then_on_at_once() {
        let client = Client::new(Settings::default());
        for (host, from, expected) in [
            ("a.io", Artifact, vec![Artifact]),
            ("b.io", ArtifactByConfig, vec![Artifact, ArtifactByConfig]),
            ("c.io", Image, vec![Artifact, ArtifactByConfig, Image]),
        ] {
            let (tried, taken) = send(&client, &[(host, from)]);
            let refused = (from != Artifact).then(|| (host.to_owned(), from));
            assert_eq!((tried, taken.refused), (expected, refused.into_iter().collect()));
            let (tried, taken) = send(&client, &[(host, from)]);
            assert_eq!((tried, taken.refused), (vec![from], BTreeMap::new()));
        }
    }

    #[test]
    fn of_several_registries_each_is_remembered_for_what_it_refused() {
        let client = Client::new(Settings::default());
        let registries = [("a.io", Artifact), ("b.io", ArtifactByConfig), ("c.io", Image)];
        let (tried, taken) = send(&client, &registries);
        assert_eq!((tried, taken.sent), (vec![Artifact, ArtifactByConfig, Image], Image));
        assert_eq!(send(&client, &registries).0, [Image]);
        for (host, from) in registries {
            assert_eq!(send(&client, &[(host, from)]).0, [from], "{host}");
        }
    }

    #[test]
    fn nothing_is_remembered_of_a_registry_that_takes_no_form() {
        let client = Client::new(Settings::default());
        for _ in 0..2 {
            let tried = RefCell::new(Vec::new());
            let names = ["a.io/app".parse().unwrap()];
            let taken = in_a_form_that_is_taken::<()>(&client, &names, |form| {
                tried.borrow_mut().push(form);
                Err(refusal("a.io"))
            });
            let error = taken.unwrap_err();
            assert!(matches!(error, DeliveryError::Push(PushError::Subject { .. })), "{error}");
            assert_eq!(tried.into_inner(), [Artifact, ArtifactByConfig, Image]);
        }
    }

    #[test]
    fn another_error_is_no_refusal_of_the_form() {
        let (client, tried) = (Client::new(Settings::default()), RefCell::new(0));
        let taken = in_a_form_that_is_taken::<()>(&client, &[], |_| {
            *tried.borrow_mut() += 1;
            Err(DeliveryError::NoIndex)
        });
        assert!(matches!(taken, Err(DeliveryError::NoIndex)) && tried.into_inner() == 1);
    }
}
