//! How the layers are compressed that a cache is sent, where that is said.

use wythe_store::layer::codec::Codec;

use super::CacheArgError;
use crate::args::attributes::Attributes;

/// The attributes that are taken.
pub(super) const KNOWN: [&str; 2] = ["compression", "compression-level"];

/// Removes and reads them.
pub(super) fn take(attributes: &mut Attributes) -> Result<Option<Codec>, CacheArgError> {
    let [compression, level] = KNOWN.map(|name| attributes.take(name));
    let number = |text: String| text.parse::<u8>().map_err(|_| CacheArgError::Level(text));
    let level = level.map(number).transpose()?;
    let Some(compression) = compression else {
        return if level.is_none() { Ok(None) } else { Err(CacheArgError::LevelAlone) };
    };
    Ok(Some(match (compression.as_str(), level) {
        ("gzip", None) => Codec::GZIP,
        ("gzip", Some(level)) => Codec::Gzip { level: level.into() },
        ("uncompressed", _) => Codec::None,
        ("zstd", None) => Codec::ZSTD,
        ("zstd", Some(level)) => Codec::Zstd { level: level.into() },
        _ => return Err(CacheArgError::Compression(compression)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compression_is_named_and_its_level_is_a_number() {
        let read = |text: &str| take(&mut Attributes::parse(text).unwrap());
        assert_eq!(read("type=local"), Ok(None));
        assert_eq!(read("compression=gzip"), Ok(Some(Codec::GZIP)));
        let level = Codec::Zstd { level: 9 };
        assert_eq!(read("compression=zstd,compression-level=9"), Ok(Some(level)));
        assert_eq!(read("compression=uncompressed"), Ok(Some(Codec::None)));
        for (text, named) in [
            ("compression=estargz", "estargz"),
            ("compression=zstd,compression-level=high", "high"),
            ("compression-level=3", "compression-level"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
