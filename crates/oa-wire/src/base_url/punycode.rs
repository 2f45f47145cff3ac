//! Host names outside ASCII, in ASCII (RFC 3492).

/// A label of a host's name in ASCII: `xn--` and RFC 3492's encoding where it holds other characters.
pub(super) fn ascii_label(label: &str) -> String {
    if label.is_ascii() {
        return label.to_owned();
    }
    let input: Vec<u32> = label.chars().map(u32::from).collect();
    let mut output: String = label.chars().filter(char::is_ascii).collect();
    let basic = output.len() as u32;
    if basic > 0 {
        output.push('-');
    }
    let (mut n, mut delta, mut bias, mut handled) = (128_u32, 0_u32, 72_u32, basic);
    while (handled as usize) < input.len() {
        let next = input.iter().copied().filter(|code| *code >= n).min().unwrap_or(n);
        delta = delta.wrapping_add((next - n).wrapping_mul(handled + 1));
        n = next;
        for code in &input {
            if *code < n {
                delta = delta.wrapping_add(1);
            }
            if *code == n {
                encode_delta(delta, bias, &mut output);
                bias = adapted(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.wrapping_add(1);
        n += 1;
    }
    format!("xn--{output}")
}

fn encode_delta(delta: u32, bias: u32, output: &mut String) {
    let digit = |value: u32| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[value as usize % 36]);
    let (mut rest, mut k) = (delta, 36_u32);
    loop {
        let threshold = k.saturating_sub(bias).clamp(1, 26);
        if rest < threshold {
            output.push(digit(rest));
            return;
        }
        output.push(digit(threshold + (rest - threshold) % (36 - threshold)));
        rest = (rest - threshold) / (36 - threshold);
        k += 36;
    }
}

fn adapted(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}
