//! `wythe push`.

use std::collections::BTreeMap;

use wythe_store::image::catalog::StoredContent;
use wythe_store::oci::reference::Reference;

use crate::args::image::PushArgs;
use crate::encode::Layers;
use crate::failure::Failure;
use crate::session::Session;
use crate::ship::{free, outbox};
use crate::{everything, several};

/// Sends an image to its registry, and prints the digest it has there.
pub(crate) fn run(args: &PushArgs, session: &Session) -> Result<(), Failure> {
    let to: Reference = args.destination.as_ref().unwrap_or(&args.image).parse()?;
    let lease = session.store()?.lease()?;
    let platform = args.which.platform()?;
    let root = everything::of_store(&lease, &args.image, platform.as_ref(), session)?;
    let (client, none) = (session.registry()?, BTreeMap::new());
    let content = StoredContent(lease.store());
    let outbox = outbox(&client, &content, &none);
    let shipment = outbox.ahead(&free(std::slice::from_ref(&to)), |ready| {
        let layers = Layers::new(args.compression, None).telling(ready);
        several::shipment(&lease, &root, layers)
    })?;
    shipment.push_from(&outbox, &to)?;
    session.print(&shipment.root.digest.to_string())
}
