/* Plays packages in Chromium with hls.js, dash.js and shaka-player.
 *
 *   node run.js PACKAGES MODULES FAILURES [PATTERN]
 *
 * PACKAGES has those that players.sh made; MODULES is a node_modules; in FAILURES
 * lands, for each fact that does not hold, a picture of the page and what it said. PATTERN
 * leaves out the facts whose names don't match it.
 * Prints "ok - FACT", "not ok - FACT" or "skip - FACT # WHY", with lines of detail that
 * begin with "#". Its exit status tells only whether it came to its end: the facts
 * are the lines.
 */
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');
const { launch, limited, Page } = require('./browser.js');
const judge = require('./judge.js');
const { packageAt } = require('./package.js');
const { serve } = require('./server.js');

const FPS = 25;
/* How fast things are played: the next where a busy machine did not keep up with one. */
const PLAY_RATES = [4, 4, 3, 2], CHANGE_RATES = [2, 2, 1.5, 1];
const SYNC_S = 0.04, LISTEN_TRIES = 4;
const FACT_S = 240; /* nothing takes that long, but for a machine that does much else */

const PLAYERS = [
    { title: 'hls.js', player: 'hls', manifest: 'master.m3u8' },
    { title: 'dash.js', player: 'dash', manifest: 'manifest.mpd' },
    { title: 'shaka with HLS', player: 'shaka', manifest: 'master.m3u8' },
    { title: 'shaka with DASH', player: 'shaka', manifest: 'manifest.mpd' },
];

const [packages, modules, failures] = process.argv.slice(2, 5).map((name) => path.resolve(name));
const pattern = new RegExp(process.argv[5] || '');

const seconds = (since) => {
    const s = (Date.now() - since) / 1000;
    return s < 1 ? '' : ` (${s.toFixed(1)} s)`;
};
const tell = (lines) => process.stdout.write(`${lines.join('\n')}\n`);

/* One fact on a page of its own. `check` gives { complaints, remarks }. */
async function fact(browser, url, name, what, check) {
    const since = Date.now(), page = await Page.open(browser, url);
    let found;
    try {
        found = await limited(page.stage(what).then(() => check(page, what)), FACT_S);
    } catch (error) {
        found = { complaints: [String(error.message).split('\n')[0]] };
    }
    const { complaints, remarks = [] } = found;
    const lines = [`${complaints.length ? 'not ok' : 'ok'} - ${name}${seconds(since)}`];
    lines.push(...complaints.slice(0, 12).map((line) => `#   ${line}`), ...remarks.map((line) => `#   ${line}`));
    if (complaints.length)
        lines.push(`#   see ${await page.keep(failures, name)}.png and .log`);
    tell(lines);
    await page.close();
}

/* Once more, where the element waited. On a busy machine it does that now and then, here
 * and there; with media that can't be played on it does so each time at the same place.
 * Everything else has to be right each time. */
async function patiently(page, what, rates, attempt, verdict) {
    const remarks = [];
    let places = null;
    for (const rate of rates) {
        if (places)
            await page.stage(what);
        const report = await attempt(rate), complaints = verdict(report), now = judge.waits(report);
        places = places ? places.filter((place) => now.some((other) => Math.abs(place.at - other.at) < 0.25)) : now;
        if (complaints.length || places.length === 0)
            return { complaints, remarks };
        const where = now.map(({ at, ahead }) => `${at} with ${ahead} s loaded`).join(', ');
        remarks.push(`at ${rate} times the rate it waited at ${where}`);
    }
    return { complaints: remarks };
}

/* When a package's pictures are shown: at the times that lie beside it, else evenly. */
function paceOf(pack) {
    const times = path.join(packages, `${pack}.times`);
    return fs.existsSync(times) ? judge.unevenly(fs.readFileSync(times, 'utf8').trim().split(/\s+/).map(Number)) :
        judge.evenly(FPS);
}

/* Joints exactly, just before and just after one, what isn't loaded yet, back and forth,
 * the last picture, and the first. Those exactly at joints come first and far from what
 * is loaded: dash.js 5.2 takes a place where something loaded ends for loaded, too, and
 * then waits for ever. In a short package a player jumps from what isn't loaded to what is shortly
 * behind it: there what lies around the places `before` a joint and `between` is loaded. */
function targetsIn({ joints, seconds: { 'master.m3u8': end } }, pace) {
    const frame = 1 / FPS, joint = (part) => joints[Math.floor(part * joints.length)];
    const { before, between } = end < 20 ? { before: 0.5, between: 0.43 } : { before: 0.2, between: 0.37 };
    return [
        joint(0.5), joint(0.99), joint(0.35) + frame, joint(before) - frame / 2, joint(0.75) + frame / 2,
        end - frame / 2, frame / 2, between * end, end - 0.5, 0,
    ].map((target) => ({ target, due: pace.due(target) }));
}

function factsOf(pack, { title, player, manifest }) {
    const it = packageAt(path.join(packages, pack)), length = it.seconds[manifest], pace = paceOf(pack);
    const [low, middle, high] = it.heights;
    const what = { player, manifest: `/packages/${pack}/${manifest}` };
    const named = (words) => `${pack}, ${title}: ${words}`;
    return [
        [named('plays from start to end, fast'), { ...what, ahead: 60 }, (page, asked) =>
            patiently(page, asked, PLAY_RATES, (rate) => page.run('play', rate),
                (report) => judge.played(report, page.media, { seconds: length, fps: FPS, pace, sound: it.sound }))],
        [named('ten seeks show the right picture'), { ...what, ahead: 4 }, async (page) => {
            return { complaints: judge.sought(await page.run('seek', targetsIn(it, pace))) };
        }],
        [named('switches up and down while it plays'), { ...what, ahead: 4, lowest: true }, (page, asked) =>
            patiently(page, asked, CHANGE_RATES, (rate) => page.run('change', [high, middle, high, low], rate),
                (report) => judge.changed(report, { pace, sizes: it.sizes }))],
        [named('sound and picture are within 40 ms'), what, async (page, asked) => {
            const reports = [], most = { fps: FPS, most: SYNC_S };
            do {
                if (reports.length)
                    await page.stage(asked);
                reports.push(await page.run('listen', [0, it.joints[Math.floor(it.joints.length / 2)] - 1], 3.4));
            } while (reports.length < LISTEN_TRIES && judge.together(reports, most).length);
            const tries = reports.length > 1 ? `, the nearest of ${reports.length} tries` : '';
            return {
                complaints: judge.together(reports, most),
                remarks: [`the sound is late by ${judge.lateness(reports, FPS).join(', ')} ms${tries}`],
            };
        }],
    ];
}

/* Of those that are like another package but for one thing, only what depends on that. */
const sounding = (pack, player) => factsOf(pack, player).filter(([name]) => /plays from|sound and/.test(name));
const uneven = (pack, player) => factsOf(pack, player).filter(([name]) => /plays from|seeks/.test(name));

/* Sound and picture of different lengths: each player comes to the end, through one range without a hole. */
const lasting = (pack, { title, player, manifest }) => {
    const it = packageAt(path.join(packages, pack)), length = it.seconds[manifest];
    return [
        [`${pack}, ${title}: plays from start to end`, { player, manifest: `/packages/${pack}/${manifest}`, ahead: 60 }, (page, asked) =>
            patiently(page, asked, PLAY_RATES, (rate) => page.run('play', rate),
                (report) => judge.played(report, page.media, { seconds: length, fps: FPS, pace: null, sound: it.sound }))],
    ];
};

/* Each language of sound is a tone of its own. */
const TONES = { en: 500, de: 2000 };
function languages(pack, { title, player, manifest }) {
    const { tracks } = packageAt(path.join(packages, pack));
    const turns = [...tracks.audio, tracks.audio[0]].map((language) => ({ language, tone: TONES[language] }));
    return [
        [`${pack}, ${title}: each language is heard once it is chosen`,
            { player, manifest: `/packages/${pack}/${manifest}`, ahead: 4 }, async (page) => ({
                complaints: judge.spoken(await page.run('speak', turns)),
                remarks: [`chosen: ${turns.map(({ language }) => language).join(', ')}`],
            })],
    ];
}

/* What is shown over the bar of those players that have such a thing: every tile. */
const EVERY_S = 2;
function storyboard(pack, { title, player, manifest }) {
    const it = packageAt(path.join(packages, pack)), times = [];
    for (let time = 0.1; time < it.seconds[manifest]; time += EVERY_S)
        times.push(time, time + EVERY_S - 0.2);
    return player === 'hls' ? [] : [
        [`${pack}, ${title}: its tiles show what is there`, { player, manifest: `/packages/${pack}/${manifest}`, ahead: 4 },
            async (page) => ({
                complaints: judge.tiled(await page.run('tiles', times), { every: EVERY_S, fps: FPS }),
                remarks: [`asked for at ${times.length} times`],
            })],
    ];
}

/* A phone's clip, drawn or real, with every player: only its picture counts. */
function standing(pack, { title, player, manifest }) {
    const real = pack.startsWith('real-'), of = (ending) => path.join(packages, `${pack}.${ending}`);
    const time = real ? Number(fs.readFileSync(of('at'), 'utf8')) : 1;
    return [
        [`${pack}, ${title}: stands upright`, { player, manifest: `/packages/${pack}/${manifest}`, ahead: 4 }, async (page) => {
            const report = await page.run('look', time);
            if (!real)
                return { complaints: judge.corners(report) };
            const luma = fs.readFileSync(of('luma'), 'utf8').trim().split(/\s+/).map(Number);
            return { complaints: judge.upright(report, luma) };
        }],
    ];
}

/* A film with tracks in several languages. */
function speaking(pack, { title, player, manifest }) {
    const { tracks, cues } = packageAt(path.join(packages, pack));
    const what = { player, manifest: `/packages/${pack}/${manifest}`, ahead: 60 };
    return [
        [`${pack}, ${title}: lists the tracks that the package has`, what, async (page) => ({
            complaints: judge.listed(await page.run('tracks'), tracks),
            remarks: [`${tracks.audio.length} languages of sound, ${tracks.text.length} of subtitles`],
        })],
        [`${pack}, ${title}: shows the subtitles in their places`, what, async (page) => ({
            complaints: judge.readable(await page.run('read', cues.length), cues),
            remarks: [`${cues.length} subtitles`],
        })],
    ];
}

/* Why this browser can't play a package, if it can't. */
async function refusal(browser, url, pack) {
    const { codecs } = packageAt(path.join(packages, pack)), page = await Page.open(browser, url);
    await page.page.goto(`${url}/page/page.html`);
    const unknown = await page.page.evaluate((list) => list.filter((codec) =>
        !MediaSource.isTypeSupported(`${codec.startsWith('mp4a') || codec === 'opus' ? 'audio' : 'video'}/mp4; codecs="${codec}"`)), codecs);
    await page.close();
    return unknown.length ? `this Chromium doesn't play ${unknown.join(', ')}` : null;
}

/* One browser with one player; facts of its packages one after the other. */
async function sitting(url, packs, facts, player) {
    const browser = await launch(modules, packages);
    for (const pack of packs) {
        const why = await refusal(browser, url, pack);
        for (const [name, what, check] of facts(pack, player)) {
            if (!pattern.test(name))
                continue;
            if (why)
                tell([`skip - ${name} # ${why}`]);
            else
                await fact(browser, url, name, what, check);
        }
    }
    await limited(browser.close(), 30).catch(() => {});
}

/* Some at the same time, for most of what they do is wait. */
async function all(jobs, width) {
    const queue = [...jobs];
    const lane = async () => {
        while (queue.length)
            await queue.shift()();
    };
    await Promise.all(Array.from({ length: width }, lane));
}

async function main() {
    const server = await serve({ '/page/': path.join(__dirname, 'page'), '/modules/': modules, '/packages/': packages });
    const short = fs.readdirSync(packages).filter((name) => /^(portrait|tracks|languages|uneven|storyboard|real-[^.]*)$/.test(name));
    const lengths = fs.readdirSync(packages).filter((name) => /^lasts-/.test(name));
    const kinds = { tracks: speaking, languages, uneven, storyboard };
    const ofShort = (pack, player) => (kinds[pack] || standing)(pack, player);
    const jobs = PLAYERS.flatMap((player) => [
        () => sitting(server.url, ['h264'], factsOf, player),
        () => sitting(server.url, ['av1'], factsOf, player),
        () => sitting(server.url, ['opus'], sounding, player),
        () => sitting(server.url, short, ofShort, player),
        () => sitting(server.url, lengths, lasting, player),
    ]);
    await all(jobs, Math.max(2, Math.min(4, 2 * os.cpus().length)));
    tell([
        `${server.missing.length ? 'not ok' : 'ok'} - players ask for nothing that isn't there`,
        ...server.missing.slice(0, 12).map((name) => `#   ${name}`),
    ]);
    server.close();
}

main().then(() => process.exit(0), (error) => {
    console.error(error.stack || error);
    process.exit(1);
});
