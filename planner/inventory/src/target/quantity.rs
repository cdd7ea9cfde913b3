//! Kubernetes' quantities. See `apimachinery/pkg/api/resource/quantity.go`. Pure.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Whole units, rounded up.
pub(super) fn whole(quantity: &Quantity) -> Option<u64> {
    scaled(&quantity.0, 1)
}

/// Thousandths, rounded up.
pub(super) fn milli(quantity: &Quantity) -> Option<u64> {
    scaled(&quantity.0, 1000)
}

/// `times` the value: a whole or decimal number, then a binary or decimal unit or an exponent.
fn scaled(text: &str, times: u128) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (digits, decimals) = number.split_once('.').unwrap_or((number, ""));
    let (unit, parts) = match unit {
        "" => (1, 1),
        "n" => (1, 10_u128.pow(9)),
        "u" => (1, 10_u128.pow(6)),
        "m" => (1, 1000),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        "k" => (10_u128.pow(3), 1),
        "M" => (10_u128.pow(6), 1),
        "G" => (10_u128.pow(9), 1),
        "T" => (10_u128.pow(12), 1),
        "P" => (10_u128.pow(15), 1),
        "E" => (10_u128.pow(18), 1),
        exponent => {
            let exponent: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10_u128.checked_pow(exponent.unsigned_abs())?;
            if exponent < 0 { (1, power) } else { (power, 1) }
        }
    };
    let value: u128 = format!("{digits}{decimals}").parse().ok()?;
    let parts = 10_u128
        .checked_pow(u32::try_from(decimals.len()).ok()?)?
        .checked_mul(parts)?;
    let amount = value.checked_mul(unit)?.checked_mul(times)?.div_ceil(parts);
    u64::try_from(amount).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Every spelling of Kubernetes, rounded up; what is no quantity is none.
    #[test]
    fn spellings() {
        for (text, whole_units, thousandths) in [
            ("4", 4, 4000),
            ("500m", 1, 500),
            ("1.5", 2, 1500),
            ("1Ki", 1024, 1_024_000),
            ("1.5Gi", 1_610_612_736, 1_610_612_736_000),
            ("1e3", 1000, 1_000_000),
            ("5E-1", 1, 500),
            ("250u", 1, 1),
        ] {
            let quantity = Quantity(text.to_owned());
            let found = (whole(&quantity), milli(&quantity));
            assert_eq!(found, (Some(whole_units), Some(thousandths)), "{text}");
        }
        for text in ["", "x", "-1", "1Zi", "1e999"] {
            assert_eq!(whole(&Quantity(text.to_owned())), None, "{text}");
        }
    }
}
