// Colours that can be read on their background. Pure. A colour has `r`, `g` and `b`, each 0 to 1, as in QML.

/**
 * Contrast to the theme's background. WCAG 2.1 requires 4.5 (success criterion 1.4.3); but panels and popups are painted up to a
 * third darker than the theme's background (Breeze without a compositor), or let the wallpaper through.
 */
const LEAST = 7;
const STEPS = 20;
const PARTS = ['r', 'g', 'b'];

/** Return the contrast of two opaque colours, 1 to 21, as WCAG 2.1 defines it. */
export function contrast(one, other) {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
}

function luminance(color) {
    const linear = value => value <= 0.04045 ? value / 12.92 : Math.pow((value + 0.055) / 1.055, 2.4);
    return 0.2126 * linear(color.r) + 0.7152 * linear(color.g) + 0.0722 * linear(color.b);
}

/**
 * Return the colour, mixed with just as much of the text's colour as makes it readable on the background, as `#rrggbb`.
 *
 * Returns the text's colour if no mixture is readable.
 */
export function readable(color, background, text) {
    for (let step = 0; step < STEPS; step += 1) {
        const mixed = mix(color, text, step / STEPS);
        if (contrast(mixed, background) >= LEAST)
            return hex(mixed);
    }
    return hex(text);
}

/** Return the mixture in the 256 steps of a screen, so that what is measured is what is shown. */
function mix(one, other, share) {
    const part = name => Math.round(255 * (one[name] * (1 - share) + other[name] * share)) / 255;
    return {r: part('r'), g: part('g'), b: part('b')};
}

function hex(color) {
    return `#${PARTS.map(name => Math.round(255 * color[name]).toString(16).padStart(2, '0')).join('')}`;
}
