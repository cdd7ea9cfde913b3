//! The order in which people count.

/// A name as people count: `db-2` comes before `db-10`. Pieces of text, each with the number behind
/// it.
pub fn natural(name: &str) -> Vec<(&str, u64)> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_digit());
        let (text, behind) = rest.split_at(digits.unwrap_or(rest.len()));
        let end = behind.find(|c: char| !c.is_ascii_digit());
        let (number, behind) = behind.split_at(end.unwrap_or(behind.len()));
        pieces.push((text, number.parse().unwrap_or(u64::MAX)));
        rest = behind;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    // Parts of a wave come in their order, also from the tenth on.
    #[test]
    fn as_people_count() {
        let mut names = [
            "erp-010-db-10",
            "erp-020-app",
            "erp-010-db-2",
            "erp-010-db",
            "erp-010-db-99999999999999999999",
        ];
        names.sort_by_key(|name| natural(name));
        assert_eq!(
            names,
            [
                "erp-010-db",
                "erp-010-db-2",
                "erp-010-db-10",
                "erp-010-db-99999999999999999999",
                "erp-020-app",
            ]
        );
    }
}
