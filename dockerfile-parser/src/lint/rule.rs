//! The rules: their names, what they are about, and which must be asked for.

/// One rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Its name, as directives and reports spell it.
    pub name: &'static str,
    /// What it asks for.
    pub description: &'static str,
    /// Whether it is on.
    pub status: Status,
}

/// Whether a rule applies without being asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// It does.
    Stable,
    /// Only `experimental=` turns it on.
    Experimental,
}

impl Rule {
    /// A page about it: that of `docker build --check`, or ours where it is a rule of ours.
    pub fn url(&self) -> String {
        if OWN.contains(self) {
            return format!(
                "https://github.com/wythe-build/wythe/blob/main/docs/checks/{}.md",
                self.name
            );
        }
        format!("https://docs.docker.com/go/dockerfile/rule/{}/", kebab(self.name))
    }
}

/// `JSONArgsRecommended` as `json-args-recommended`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    let letters: Vec<char> = name.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let after_lower = at > 0 && letters[at - 1].is_lowercase();
        let before_lower = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if at > 0 && letter.is_uppercase() && (after_lower || before_lower) {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

macro_rules! rules {
    ($($constant:ident = $name:literal $status:ident $description:literal;)*) => {
        $(pub(super) const $constant: Rule = Rule {
            name: $name,
            description: $description,
            status: Status::$status,
        };)*

        /// Every rule.
        pub const RULES: &[Rule] = &[$($constant),*];
    };
}

rules! {
    STAGE_NAME_CASING = "StageNameCasing" Stable "Stage names should be lowercase";
    FROM_AS_CASING = "FromAsCasing" Stable "The 'as' keyword should match the case of the 'from' keyword";
    NO_EMPTY_CONTINUATION = "NoEmptyContinuation" Stable "Empty continuation lines will become errors in a future release";
    CONSISTENT_INSTRUCTION_CASING = "ConsistentInstructionCasing" Stable "All commands within the Dockerfile should use the same casing (either upper or lower)";
    DUPLICATE_STAGE_NAME = "DuplicateStageName" Stable "Stage names should be unique";
    RESERVED_STAGE_NAME = "ReservedStageName" Stable "Reserved words should not be used as stage names";
    JSON_ARGS_RECOMMENDED = "JSONArgsRecommended" Stable "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals";
    MAINTAINER_DEPRECATED = "MaintainerDeprecated" Stable "The MAINTAINER instruction is deprecated, use a label instead to define an image author";
    UNDEFINED_ARG_IN_FROM = "UndefinedArgInFrom" Stable "FROM command must use declared ARGs";
    WORKDIR_RELATIVE_PATH = "WorkdirRelativePath" Stable "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes";
    UNDEFINED_VAR = "UndefinedVar" Stable "Variables should be defined before their use";
    MULTIPLE_INSTRUCTIONS_DISALLOWED = "MultipleInstructionsDisallowed" Stable "Multiple instructions of the same type should not be used in the same stage";
    LEGACY_KEY_VALUE_FORMAT = "LegacyKeyValueFormat" Stable "Legacy key/value format with whitespace separator should not be used";
    INVALID_BASE_IMAGE_PLATFORM = "InvalidBaseImagePlatform" Stable "Base image platform does not match expected target platform";
    REDUNDANT_TARGET_PLATFORM = "RedundantTargetPlatform" Stable "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior";
    SECRETS_USED_IN_ARG_OR_ENV = "SecretsUsedInArgOrEnv" Stable "Sensitive data should not be used in the ARG or ENV commands";
    INVALID_DEFAULT_ARG_IN_FROM = "InvalidDefaultArgInFrom" Stable "Default value for global ARG results in an empty or invalid base image name";
    FROM_PLATFORM_FLAG_CONST_DISALLOWED = "FromPlatformFlagConstDisallowed" Stable "FROM --platform flag should not use a constant value";
    COPY_IGNORED_FILE = "CopyIgnoredFile" Stable "Attempting to Copy file that is excluded by .dockerignore";
    INVALID_DEFINITION_DESCRIPTION = "InvalidDefinitionDescription" Experimental "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`";
    EXPOSE_PROTO_CASING = "ExposeProtoCasing" Stable "Protocol in EXPOSE instruction should be lowercase";
    EXPOSE_INVALID_FORMAT = "ExposeInvalidFormat" Stable "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release";
}

/// The rules that `docker build --check` does not have.
///
/// The parser and the builder apply them where they find what they are about; [`MISSPELT_STAGE`] is
/// told before any image is asked for.
pub const OWN: &[Rule] = &[
    INVALID_EXEC_FORM,
    EMPTY_COPY_SOURCE,
    MISSPELT_STAGE,
    UNKNOWN_COPY_OWNER,
    OVERWRITTEN_COPY_SOURCE,
    COPIED_SOCKET,
];

/// A command that was meant to be a list and is none.
pub const INVALID_EXEC_FORM: Rule = Rule {
    name: "InvalidExecForm",
    description: "A command that begins with a bracket should be a JSON array of strings",
    status: Status::Stable,
};

/// A source that disappears when it is expanded.
pub const EMPTY_COPY_SOURCE: Rule = Rule {
    name: "EmptyCopySource",
    description: "Sources of COPY and ADD should not expand to nothing",
    status: Status::Stable,
};

/// A name in `--chown` that the image does not know.
pub const UNKNOWN_COPY_OWNER: Rule = Rule {
    name: "UnknownCopyOwner",
    description: "Names in --chown should be those of users and groups of the image",
    status: Status::Stable,
};

/// Several sources that become one file.
pub const OVERWRITTEN_COPY_SOURCE: Rule = Rule {
    name: "OverwrittenCopySource",
    description: "Several sources should not be copied onto one file",
    status: Status::Stable,
};

/// A socket among what is copied.
pub const COPIED_SOCKET: Rule = Rule {
    name: "CopiedSocket",
    description: "Sockets should not be among the files that are copied",
    status: Status::Stable,
};

/// A name that is nearly that of a stage.
pub const MISSPELT_STAGE: Rule = Rule {
    name: "MisspeltStage",
    description: "A name that means an image should not be nearly that of a stage",
    status: Status::Stable,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_page() {
        let page = "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/";
        assert_eq!(JSON_ARGS_RECOMMENDED.url(), page);
        assert!(MISSPELT_STAGE.url().ends_with("docs/checks/MisspeltStage.md"));
        assert_eq!(kebab("SecretsUsedInArgOrEnv"), "secrets-used-in-arg-or-env");
        assert_eq!(kebab("UndefinedVar"), "undefined-var");
    }

    #[test]
    fn there_are_twenty_two_rules_and_one_must_be_asked_for() {
        assert_eq!(RULES.len(), 22);
        let asked = RULES.iter().filter(|rule| rule.status == Status::Experimental);
        assert_eq!(
            asked.map(|rule| rule.name).collect::<Vec<_>>(),
            ["InvalidDefinitionDescription"]
        );
    }
}
