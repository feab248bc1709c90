//! The same question about many things, asked by a few threads.

use wythe_store::side_by_side::side_by_side;

/// Those of `items` of which `is` says so, in their order.
///
/// # Errors
///
/// The first, in their order, that `is` makes.
pub fn those<T: Copy + Sync, E: Send>(
    items: &[T],
    threads: usize,
    is: impl Fn(&T) -> Result<bool, E> + Sync,
) -> Result<Vec<T>, E> {
    let mut found = Vec::new();
    for (item, answer) in items.iter().zip(side_by_side(items, threads, is)) {
        if answer? {
            found.push(*item);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_meant_keep_their_order_and_a_failure_is_told() {
        let even = |item: &usize| if *item < 9 { Ok(item.is_multiple_of(2)) } else { Err(*item) };
        assert_eq!(those(&[4, 1, 2, 3, 8], 3, even), Ok(vec![4, 2, 8]));
        assert_eq!(those(&[4, 9, 2], 3, even), Err(9));
    }
}
