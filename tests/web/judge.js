/* What is right about that which a page has seen (the reports of page/stage.js).
 * Each function gives a list of complaints; an empty one is right. */
'use strict';

const PULSE_EVERY = 1.07, PULSE_FIRST = 0.3; /* of the clip's sound, see players.sh */

const round = (x) => Math.round(x * 1e4) / 1e4;
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/* Words of the player, errors of the element. */
function calm(report) {
    return [
        ...report.complaints,
        ...report.events.filter(({ type }) => type === 'error').map(() => 'the element tells of an error'),
    ];
}

/* What was buffered of one source buffer or all: one range, from `start` to `end`. */
function whole(what, ranges, end, frame) {
    if (ranges.length === 1 && ranges[0][0] <= frame && Math.abs(ranges[0][1] - end) <= frame)
        return [];
    return [`${what} is buffered as ${JSON.stringify(ranges)}, not from 0 to ${end}`];
}

/* Never jumped before its end: that is how players get over a gap. */
function smooth(report) {
    const end = report.events.findIndex(({ type }) => type === 'ended');
    return report.events.slice(0, end < 0 ? undefined : end).filter(({ type }) => type === 'seeking').map(({ at }) => `the player jumps at ${at}`);
}

/* Where it waited, for data or for a decoder. A busy machine makes it do so anywhere, bad
 * media at the same place each time: who finds some plays it again. */
function waits(report) {
    return report.events.filter(({ type }) => type === 'waiting').map(({ at, ahead }) => ({ at: round(at), ahead: round(ahead) }));
}

/* When pictures are shown, by number: of so many a second, or at these times. */
const evenly = (fps) => ({ at: (number) => number / fps, due: (time) => Math.floor(time * fps + 1e-3), slack: 0.1 / fps });
const unevenly = (times) => ({
    at: (number) => times[number], due: (time) => times.filter((other) => other <= time + 1e-3).length - 1, slack: 0.002,
});

/* Each picture that was shown is the one of its time, and later than the last. */
function pictures(frames, pace, least) {
    const wrong = [];
    let last = -1;
    for (const { time, number } of frames) {
        if (!(Math.abs(time - pace.at(number)) <= pace.slack))
            wrong.push(`at ${round(time)} picture ${number} is shown, not ${pace.due(time)}`);
        if (time < last)
            wrong.push(`picture ${number} is shown after ${round(last)}`);
        last = time;
    }
    if (frames.length < least)
        wrong.push(`only ${frames.length} pictures were shown`);
    return wrong;
}

/* Opus: its priming is a part of a packet, as is what its last one has behind the end. */
const isCutToFit = (text) => /^Truncating audio buffer which overlaps append window (start. PTS -|end)/.test(text);

/* What Chromium says of samples that overlap, leave a hole or can't be decoded. Priming
 * before 0 is dropped, and meant to be. */
function unheard(messages, opus) {
    return messages.filter((text) => !(opus && isCutToFit(text))).filter((text) =>
        /splice|overlap|gap|trimm|corrupt|error|fail|invalid/i.test(text) ||
        (/^Dropping/.test(text) && !/ PTS -\d+us/.test(text)));
}

/* Without a pace only the times count, not which picture is shown. */
function played(report, media, { seconds, fps, pace, sound }) {
    const frame = 1 / fps, complaints = [...calm(report), ...smooth(report), ...unheard(media, sound === 'opus')];
    if (!report.ended)
        complaints.push(`it has not ended, at ${report.time}`);
    if (Math.abs(report.time - seconds) > frame)
        complaints.push(`it ended at ${report.time}, the manifest says ${seconds}`);
    if (report.mostRanges > 1)
        complaints.push(`what was buffered had ${report.mostRanges} parts`);
    complaints.push(...whole('the whole', report.buffered, seconds, frame));
    for (const { type, ranges } of report.buffers)
        complaints.push(...whole(type, ranges, seconds, frame));
    if (report.buffers.length < (sound ? 2 : 1))
        complaints.push(`there are ${report.buffers.length} source buffers`);
    /* A loaded machine shows fewer pictures; a tenth of them is a test still. */
    return [...complaints, ...(pace ? pictures(report.frames, pace, pace.due(seconds) / 10) : [])];
}

function sought(report) {
    return [
        ...calm(report),
        ...report.shown
            .filter(({ due, number }) => Math.abs(number - due) > 1)
            .map(({ target, due, number }) => `after a seek to ${target} picture ${number} is shown, not ${due}`),
    ];
}

function changed(report, { pace, sizes }) {
    const complaints = [...calm(report), ...smooth(report), ...pictures(report.frames, pace, 20)];
    for (const { height, width, from } of report.changes)
        if (width !== sizes[height])
            complaints.push(`${height} lines, chosen at ${from}, are ${width} wide, not ${sizes[height]}`);
    const here = report.buffered.filter(([start, end]) => start <= report.time && report.time <= end);
    if (report.mostRanges > 1 || here.length !== 1)
        complaints.push(`buffered is ${JSON.stringify(report.buffered)} at ${report.time}, at most ${report.mostRanges} parts`);
    return complaints;
}

/* Where the sound stands against the picture, in seconds: above 0 it is late. A Map by the number of the pulse. Pulses are
 * on the clock of the context; the pairs around each tell the element's time. Where these
 * disagree sound was missing, since the machine had no time for it: no measure there. */
function offsets({ pulses, clock, frames }, fps) {
    const picture = median(frames.map(({ time, number }) => time - number / fps)), late = new Map();
    for (const pulse of pulses) {
        const near = clock.filter(([context]) => Math.abs(context - pulse) < 0.25).map(([context, media]) => media - context);
        if (near.length < 3 || Math.max(...near) - Math.min(...near) > 0.03)
            continue;
        const time = pulse + median(near);
        const index = Math.round((time - PULSE_FIRST) / PULSE_EVERY);
        late.set(index, time - PULSE_FIRST - index * PULSE_EVERY - picture);
    }
    return late;
}

/* The same of several tries, by place: of each pulse the one that is nearest to its picture. Media that are wrong have
 * the same pulse late each time; on a busy machine now this one is, now that one. */
function nearest(reports, fps) {
    return reports[0].heard.map(({ place }, i) => {
        const late = new Map();
        for (const { heard } of reports)
            for (const [index, seconds] of offsets(heard[i], fps))
                if (!(Math.abs(late.get(index)) <= Math.abs(seconds)))
                    late.set(index, seconds);
        return { place, late: [...late.values()] };
    });
}

function together(reports, { fps, most }) {
    const complaints = reports.flatMap(calm);
    for (const { place, late } of nearest(reports, fps)) {
        if (late.length < 2)
            complaints.push(`from ${place} on ${late.length} pulses could be measured, in ${reports.length} tries`);
        for (const seconds of late)
            if (!(Math.abs(seconds) <= most))
                complaints.push(`from ${place} on the sound is ${round(seconds)} s late`);
    }
    return complaints;
}

/* How late the sound is, pulse by pulse, in milliseconds. */
function lateness(reports, fps) {
    return nearest(reports, fps).flatMap(({ late }) => late.map((seconds) => Math.round(seconds * 1000)));
}

/* Languages of tracks as a player lists them, and as the package's playlist does. */
function listed(tracks, promised) {
    return ['audio', 'text'].flatMap((kind) => {
        const found = [...new Set(tracks[kind])].sort();
        return JSON.stringify(found) === JSON.stringify(promised[kind]) ? [] :
            [`${kind}: the player lists ${JSON.stringify(found)}, master.m3u8 ${JSON.stringify(promised[kind])}`];
    });
}

/* Subtitles as the element has them, and as the package does; a player may have a cue twice
 * that two segments have. */
function readable(report, promised) {
    const words = ({ from, to, text }) => `${from.toFixed(2)} to ${to.toFixed(2)} ${text.replace(/\s+/g, ' ')}`;
    const close = (a, b) => Math.abs(a.from - b.from) < 0.05 && Math.abs(a.to - b.to) < 0.05 &&
        a.text.replace(/\s+/g, ' ') === b.text.replace(/\s+/g, ' ');
    return [
        ...calm(report),
        ...promised.filter((cue) => !report.cues.some((other) => close(cue, other))).map((cue) => `not there: ${words(cue)}`),
        ...report.cues.filter((cue) => !promised.some((other) => close(cue, other))).map((cue) => `too much: ${words(cue)}`),
    ];
}

/* Each language's tone was heard once it was chosen. */
function spoken(report) {
    return [
        ...calm(report),
        ...report.spoken.filter(({ tone, heard }) => !(Math.abs(heard - tone) < 0.05 * tone))
            .map(({ language, tone, heard, from }) =>
                `${language} was chosen at ${round(from)}: ${Math.round(heard)} Hz are heard, not ${tone}`),
    ];
}

/* A tile stands for `every` seconds and shows a picture of these. */
function tiled(report, { every, fps }) {
    return [
        ...calm(report),
        ...report.tiles.map(({ time, number }) => ({ time, number, first: Math.floor(time / every) * every * fps }))
            .filter(({ number, first }) => number < first || number >= first + every * fps)
            .map(({ time, number, first }) => `at ${time} it shows picture ${number}, not one from ${first} on`),
    ];
}

const CORNERS = [ /* of players.sh's portrait clip, upright; places in a grid of 8 by 8 */
    { place: 0, name: 'yellow', color: [255, 255, 0] },
    { place: 7, name: 'red', color: [255, 0, 0] },
    { place: 56, name: 'blue', color: [0, 0, 255] },
    { place: 63, name: 'lime', color: [0, 255, 0] },
];

const tall = ({ width, height }) => (width < height ? [] : [`it is ${width} wide and ${height} high`]);

function corners(report) {
    const far = ({ place, color }) => color.some((level, i) => Math.abs(level - report.grid[place][i]) > 50);
    return [
        ...calm(report), ...tall(report),
        ...CORNERS.filter(far).map(({ place, name }) => `the corner of ${name} is ${report.grid[place]}`),
    ];
}

/* How alike two grids of luma are, -1 to 1, whatever their brightness and contrast. */
function likeness(a, b) {
    const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
    const p = a.map((x) => x - mean(a)), q = b.map((x) => x - mean(b));
    const dot = (u, v) => u.reduce((sum, x, i) => sum + x * v[i], 0);
    return dot(p, q) / Math.sqrt(dot(p, p) * dot(q, q));
}

/* Against 64 means of the source: alike as it stands, and less so turned or mirrored. */
function upright(report, luma) {
    const seen = report.grid.map(([r, g, b]) => 0.3 * r + 0.59 * g + 0.11 * b);
    const turns = {
        'turned by 90': (x, y) => 8 * x + (7 - y),
        'turned by 180': (x, y) => 8 * (7 - y) + (7 - x),
        'turned by 270': (x, y) => 8 * (7 - x) + y,
        mirrored: (x, y) => 8 * y + (7 - x),
        'upside down': (x, y) => 8 * (7 - y) + x,
    };
    const as = likeness(seen, luma), complaints = [...calm(report), ...tall(report)];
    if (!(as > 0.9))
        complaints.push(`the picture is like the source's by ${round(as)} only`);
    for (const [name, from] of Object.entries(turns)) {
        const other = likeness(seen.map((_, i) => seen[from(i % 8, Math.floor(i / 8))]), luma);
        if (other >= as)
            complaints.push(`${name} it is more like the source: ${round(other)}, not ${round(as)}`);
    }
    return complaints;
}

module.exports = {
    calm, changed, corners, evenly, lateness, listed, played, readable, sought, spoken, tiled, together, unevenly,
    upright, waits,
};
