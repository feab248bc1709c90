//! Images on to what deploys them, by their digest: files of `CodePipeline`, ECS and Kubernetes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wythe_store::digest::Digest;
use wythe_store::oci::reference::Reference;

use crate::args::emit::{EmitArg, EmitForm};
use crate::failure::{Class, Failure};

/// An image that is in its registry.
#[derive(Clone, Debug)]
pub(crate) struct HandedOver {
    /// The target that it was built from; empty where that has no name.
    pub(crate) target: String,
    /// What it is called.
    pub(crate) name: Reference,
    /// What that stands for.
    pub(crate) digest: Digest,
}

impl HandedOver {
    /// Where it is, for ever.
    fn uri(&self) -> String {
        format!("{}@{}", self.name.name(), self.digest)
    }

    /// What a container is called that runs it and that nobody names.
    fn container(&self) -> &str {
        let repository = self.name.repository();
        repository.rsplit('/').next().unwrap_or(repository)
    }
}

/// Reads what is to be filled, so that a file that cannot be is found before anything is built.
pub(crate) fn check(emits: &[EmitArg]) -> Result<(), Failure> {
    emits.iter().try_for_each(|emit| template(emit).map(drop))
}

/// Writes the files.
pub(crate) fn write(emits: &[EmitArg], images: &[HandedOver]) -> Result<(), Failure> {
    for emit in emits {
        let text = text(emit, template(emit)?, images)?;
        let path = &emit.destination;
        fs::write(path, text).map_err(|error| at(path, "write").because(&error))?;
    }
    Ok(())
}

fn at(path: &Path, what: &str) -> Failure {
    Failure::new(Class::Environment, format!("cannot {what} {}", path.display()))
}

/// The file that is to be filled, where there is one.
fn template(emit: &EmitArg) -> Result<Option<Value>, Failure> {
    let Some(path) = &emit.from else { return Ok(None) };
    let text = fs::read_to_string(path).map_err(|error| at(path, "read").because(&error))?;
    let read = serde_json::from_str(&text);
    read.map(Some).map_err(|error| {
        Failure::usage(format!("{} is no task definition", path.display())).because(&error)
    })
}

/// What a file holds.
fn text(emit: &EmitArg, template: Option<Value>, images: &[HandedOver]) -> Result<String, Failure> {
    if emit.container.is_some() && images.len() > 1 {
        return Err(Failure::usage("one container is named, and there are several images")
            .remedy("leave container= out: each is called as its target"));
    }
    let container = |image: &HandedOver| match &emit.container {
        Some(name) => name.clone(),
        None if images.len() > 1 => image.target.clone(),
        None => image.container().to_owned(),
    };
    let document = match emit.form {
        EmitForm::Kustomize => return Ok(kustomization(emit.name.as_deref(), images)),
        EmitForm::ImageDefinitions => images
            .iter()
            .map(|image| json!({"name": container(image), "imageUri": image.uri()}))
            .collect(),
        EmitForm::ImageDetail => match images {
            [only] => json!({"ImageURI": only.uri()}),
            _ => return Err(Failure::usage("imageDetail.json is about one image")),
        },
        EmitForm::TaskDefinition => {
            let named = images.iter().map(|image| (container(image), image.uri()));
            task_definition(template, &named.collect::<Vec<_>>())?
        }
    };
    Ok(format!("{document:#}\n"))
}

/// A task definition whose containers run these images; without one, the part that says so.
fn task_definition(template: Option<Value>, images: &[(String, String)]) -> Result<Value, Failure> {
    let Some(mut document) = template else {
        let containers = images.iter().map(|(name, image)| json!({"name": name, "image": image}));
        return Ok(json!({"containerDefinitions": containers.collect::<Vec<_>>()}));
    };
    for (name, image) in images {
        let containers = document["containerDefinitions"].as_array_mut();
        let mut all = containers.into_iter().flatten();
        let Some(container) = all.find(|container| container["name"] == *name) else {
            let failure = Failure::usage(format!("the task definition has no container {name}"));
            return Err(failure.remedy("say which with container=NAME"));
        };
        container["image"] = image.as_str().into();
    }
    Ok(document)
}

/// What `kustomize edit set image` writes.
fn kustomization(called: Option<&str>, images: &[HandedOver]) -> String {
    let mut out =
        String::from("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages:\n");
    for image in images {
        let (place, digest) = (image.name.name(), image.digest);
        let name = called.unwrap_or(&place);
        // A name of an image needs no quotes, but one that a person typed may; JSON's are YAML's. Writing to a
        // string does not fail.
        let (name, place) = (json!(name), json!(place));
        let _ = writeln!(out, "- name: {name}\n  newName: {place}\n  digest: {digest}");
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn image(target: &str, name: &str) -> HandedOver {
        let digest = Digest::of(target.as_bytes());
        HandedOver { target: target.to_owned(), name: name.parse().unwrap(), digest }
    }

    fn one() -> Vec<HandedOver> {
        vec![image("", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1")]
    }

    fn two() -> Vec<HandedOver> {
        vec![image("web", "r.io/web:1"), image("worker", "r.io/worker:1")]
    }

    #[track_caller]
    fn check(emit: &str, template: Option<&str>, images: &[HandedOver], expected: &Expect) {
        let template = template.map(|text| serde_json::from_str(text).unwrap());
        expected.assert_eq(&text(&emit.parse().unwrap(), template, images).unwrap());
    }

    #[test]
    fn code_pipeline_gets_containers_and_their_images() {
        check(
            "imagedefinitions",
            None,
            &one(),
            &expect![[r#"
            [
              {
                "imageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "name": "app"
              }
            ]
        "#]],
        );
        check(
            "imagedefinitions",
            None,
            &two(),
            &expect![[r#"
            [
              {
                "imageUri": "r.io/web@sha256:4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2",
                "name": "web"
              },
              {
                "imageUri": "r.io/worker@sha256:87eba76e7f3164534045ba922e7770fb58bbd14ad732bbf5ba6f11cc56989e6e",
                "name": "worker"
              }
            ]
        "#]],
        );
        check(
            "type=imagedefinitions,container=web",
            None,
            &one(),
            &expect![[r#"
            [
              {
                "imageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "name": "web"
              }
            ]
        "#]],
        );
        check(
            "imagedetail",
            None,
            &one(),
            &expect![[r#"
            {
              "ImageURI": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            }
        "#]],
        );
    }

    #[test]
    fn a_task_definition_is_filled_and_else_left_as_it_is() {
        check(
            "taskdef",
            None,
            &one(),
            &expect![[r#"
            {
              "containerDefinitions": [
                {
                  "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                  "name": "app"
                }
              ]
            }
        "#]],
        );
        let template = r#"{"family": "f", "cpu": "256", "containerDefinitions": [
            {"name": "proxy", "image": "r.io/proxy:1"}, {"name": "app", "image": "<IMAGE1_NAME>"}]}"#;
        check(
            "taskdef",
            Some(template),
            &one(),
            &expect![[r#"
            {
              "containerDefinitions": [
                {
                  "image": "r.io/proxy:1",
                  "name": "proxy"
                },
                {
                  "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                  "name": "app"
                }
              ],
              "cpu": "256",
              "family": "f"
            }
        "#]],
        );
        let emit = "type=taskdef,container=none".parse().unwrap();
        let template = serde_json::from_str(template).unwrap();
        let refused = text(&emit, Some(template), &one()).unwrap_err().lines().join(" ");
        assert!(refused.contains("no container none"), "{refused}");
    }

    #[test]
    fn kubernetes_gets_a_component_that_pins_images() {
        check(
            "kustomize",
            None,
            &two(),
            &expect![[r#"
            apiVersion: kustomize.config.k8s.io/v1alpha1
            kind: Component
            images:
            - name: "r.io/web"
              newName: "r.io/web"
              digest: sha256:4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2
            - name: "r.io/worker"
              newName: "r.io/worker"
              digest: sha256:87eba76e7f3164534045ba922e7770fb58bbd14ad732bbf5ba6f11cc56989e6e
        "#]],
        );
        check(
            "type=kustomize,name=app",
            None,
            &one(),
            &expect![[r#"
            apiVersion: kustomize.config.k8s.io/v1alpha1
            kind: Component
            images:
            - name: "app"
              newName: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app"
              digest: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
        "#]],
        );
    }

    #[test]
    fn one_container_or_file_for_several_images_is_refused() {
        for emit in ["type=imagedefinitions,container=a", "imagedetail"] {
            assert!(text(&emit.parse().unwrap(), None, &two()).is_err(), "{emit}");
        }
    }
}
