/* What a page does with its player, and what it sees meanwhile.
 *
 * The page's query names the player (hls, dash, shaka), the manifest, how many
 * seconds to load ahead and whether it begins with the lowest rendition and stays
 * there. The player's own script defines `adapter` with one face for all of them:
 *
 *   load(video, url, ahead, lowest)  a promise, kept once renditions are known
 *   choose(height)                   from now on, by what users' menus call
 *   read()                           show the first subtitles
 *   say(language)                    from now on, of the sound
 *   tracks()                         { audio: [language…], text: [language…] }
 *   tile(time)                       of the storyboard: a promise of { url, x, y, width, height }
 *
 * and tells stage.complain() of every error, fatal or not, and of every gap that it
 * noticed. Stalls are 'waiting' events, which the stage hears itself. Nothing is judged
 * here: judge.js does that with what comes back. Nothing sleeps: everything waits for
 * events, and for no longer than it says.
 */
'use strict';

const stage = (() => {
    const query = new URLSearchParams(location.search);
    const video = document.querySelector('video');
    const seen = { events: [], complaints: [], frames: [], mostRanges: 0 };
    const buffers = [];

    /* How much is loaded from here on, without a hole. */
    const ahead = () => {
        const now = video.currentTime, here = rangesOf(video.buffered).find(([start, end]) => start <= now && now <= end);
        return here ? here[1] - now : 0;
    };
    const note = (type) => seen.events.push({ type, at: video.currentTime, ahead: ahead() });
    for (const type of ['playing', 'waiting', 'seeking', 'seeked', 'ended', 'error', 'resize'])
        video.addEventListener(type, () => note(type));
    /* dash.js now and then looks for the end just when the element has told of it, and seeks. */
    let endedAt = null;
    video.addEventListener('ended', () => (endedAt = video.currentTime));
    video.addEventListener('timeupdate', () => countRanges());

    /* Players keep their source buffers to themselves. */
    const add = MediaSource.prototype.addSourceBuffer;
    MediaSource.prototype.addSourceBuffer = function (type) {
        const buffer = add.call(this, type);
        buffers.push({ type, buffer });
        return buffer;
    };

    const rangesOf = (ranges) =>
        Array.from({ length: ranges.length }, (_, i) => [ranges.start(i), ranges.end(i)]);
    const countRanges = () => {
        seen.mostRanges = Math.max(seen.mostRanges, video.buffered.length);
    };

    /* Kept when `done()` holds, which is asked after each event of `types` and, since
     * not all that is waited for has one, every 50 ms. */
    function until(done, what, seconds, types = ['timeupdate']) {
        return new Promise((keep, fail) => {
            const end = (how, value) => {
                clearTimeout(limit);
                clearInterval(clock);
                types.forEach((type) => video.removeEventListener(type, ask));
                how(value);
            };
            const ask = () => done() && end(keep);
            const limit = setTimeout(
                () => end(fail, new Error(`${what}: not within ${seconds} s, at ${video.currentTime}`)),
                seconds * 1000);
            const clock = setInterval(ask, 50);
            types.forEach((type) => video.addEventListener(type, ask));
            ask();
        });
    }

    const bufferedTo = () => (video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0);
    const loaded = (seconds) =>
        until(() => video.readyState >= 3 && bufferedTo() >= Math.min(video.currentTime + seconds, video.duration - 0.1),
            `${seconds} s are loaded`, 60, ['progress', 'canplay']);

    /* The number that a picture of tests/media/numbered.c shows: 16 blocks of black or
     * white over its upper sixth, the lowest bit first. */
    const pen = new OffscreenCanvas(64, 1).getContext('2d', { willReadFrequently: true });
    pen.imageSmoothingEnabled = false;
    function numberOf(picture, width, height) {
        pen.drawImage(picture, 0, height / 24, width, height / 12, 0, 0, 64, 1);
        const { data } = pen.getImageData(0, 0, 64, 1);
        let number = 0;
        for (let bit = 0; bit < 16; bit++) {
            const at = 4 * (4 * bit + 2);
            if (0.3 * data[at] + 0.59 * data[at + 1] + 0.11 * data[at + 2] > 127)
                number |= 1 << bit;
        }
        return number;
    }

    /* Notes each picture that is shown: its time on the media's timeline, its number and
     * its height. A VideoFrame, since the element itself may show the next one already
     * by the time that it is drawn. */
    function watch() {
        const frame = new VideoFrame(video);
        seen.frames.push({
            time: frame.timestamp / 1e6,
            number: numberOf(frame, frame.displayWidth, frame.displayHeight),
            height: frame.displayHeight,
        });
        frame.close();
        countRanges();
        video.requestVideoFrameCallback(watch);
    }

    const script = (src) => new Promise((keep, fail) => {
        const element = document.createElement('script');
        element.src = src;
        element.onload = keep;
        element.onerror = () => fail(new Error(`${src} can't be loaded`));
        document.head.append(element);
    });

    const report = () => ({
        ...seen,
        ended: endedAt !== null,
        time: endedAt ?? video.currentTime,
        duration: video.duration,
        width: video.videoWidth,
        height: video.videoHeight,
        buffered: rangesOf(video.buffered),
        buffers: buffers.map(({ type, buffer }) => ({ type, ranges: rangesOf(buffer.buffered) })),
    });

    /* The library of the player first, then its adapter, then the manifest. */
    async function open() {
        await script(query.get('library'));
        await script(`${query.get('player')}.js`);
        await adapter.load(video, query.get('manifest'), Number(query.get('ahead')), query.get('lowest') === 'true');
        await until(() => video.readyState >= 2, 'a first picture is there', 60, ['loadeddata']);
    }

    async function play(rate) {
        await loaded(12);
        seen.events.length = 0; /* what players do before they play is theirs */
        video.requestVideoFrameCallback(watch);
        video.playbackRate = rate;
        await video.play();
        await until(() => endedAt !== null || video.currentTime >= video.duration, 'it has played to its end', 120,
            ['ended', 'timeupdate']);
        await until(() => endedAt !== null, 'it has ended', 20, ['ended']).catch(() => {});
        return report();
    }

    /* Paused, one after the other: what is shown once it is there. A picture may be
     * painted a little after 'seeked'. */
    async function seek(targets) {
        const shown = [];
        for (const { target, due } of targets) {
            const number = () => numberOf(video, video.videoWidth, video.videoHeight);
            video.currentTime = target;
            await until(() => !video.seeking && video.readyState >= 2, `a seek to ${target} ends`, 60, ['seeked']);
            await until(() => number() === due, '', 2, ['seeked']).catch(() => {});
            shown.push({ target, due, number: number(), time: video.currentTime });
        }
        return { shown, ...report() };
    }

    /* From rendition to rendition while it plays. */
    async function change(heights, rate) {
        const changes = [];
        await loaded(2);
        seen.events.length = 0;
        video.requestVideoFrameCallback(watch);
        video.playbackRate = rate;
        await video.play();
        for (const height of heights) {
            const from = video.currentTime;
            adapter.choose(height);
            await until(() => video.videoHeight === height, `it has ${height} lines`, 60, ['resize']);
            changes.push({ height, from, to: video.currentTime, width: video.videoWidth });
            const second = video.currentTime + 1;
            await until(() => video.currentTime >= second, 'a second has been played', 30);
        }
        video.pause();
        return { changes, ...report() };
    }

    /* Where pulses are (bursts of 20 ms): the centre of energy around each peak, so that
     * neither the encoder's ringing nor the level moves them. */
    function pulsesIn(sound, rate) {
        const pulses = [], reach = Math.round(0.02 * rate);
        const most = sound.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
        for (let i = reach; i + reach < sound.length; i++) {
            if (most < 0.05 || Math.abs(sound[i]) < most / 2)
                continue;
            let energy = 0, moment = 0;
            for (let k = i - reach / 2; k < i + reach; k++) {
                energy += sound[k] ** 2;
                moment += sound[k] ** 2 * k;
            }
            pulses.push(moment / energy / rate);
            i += 5 * reach;
        }
        return pulses;
    }

    /* Hands blocks of what the element gives out to `take`, until the context is closed. */
    async function ear(take) {
        const context = new AudioContext({ sampleRate: 48000 });
        await context.audioWorklet.addModule('meter.js');
        const meter = new AudioWorkletNode(context, 'meter');
        const mute = new GainNode(context, { gain: 0 });
        context.createMediaElementSource(video).connect(meter).connect(mute).connect(context.destination);
        meter.port.onmessage = ({ data }) => take(data, context);
        await context.resume();
        return context;
    }

    /* Chooses each of `languages` ({ language, tone }) while it plays, and waits until its
     * tone is heard, in Hz: crossings of zero of the last 0.2 s. */
    async function speak(languages) {
        const spoken = [];
        let last = [], heard = 0;
        const context = await ear(({ samples }) => {
            last = [...last, ...samples].slice(-9600);
            heard = last.filter((x, i) => i > 0 && (x < 0) !== (last[i - 1] < 0)).length * 24000 / last.length;
        });
        await loaded(2);
        await video.play();
        for (const { language, tone } of languages) {
            const from = video.currentTime, since = () => video.currentTime - from;
            adapter.say(language);
            await until(() => video.ended || since() > 8 || (since() > 0.5 && Math.abs(heard - tone) < 0.05 * tone), '', 20)
                .catch(() => {});
            spoken.push({ language, tone, heard, from });
        }
        video.pause();
        await context.close();
        return { spoken, ...report() };
    }

    /* Plays `seconds` from each of `places` at the true rate and hears with WebAudio what
     * the element gives out: { pulses, clock, frames } for each place. Pulses are on the
     * AudioContext's clock; `clock` has pairs of that and of the element's own time.
     *
     * It needs no device: without one Chromium's output is a clock that pulls. For the
     * first second in which an element plays into WebAudio its own clock is late by what
     * was pulled before it noticed, so that second is played and not listened to. */
    async function listen(places, seconds) {
        let blocks = null, clock = [];
        const context = await ear((data, { currentTime }) => {
            if (blocks) {
                blocks.push(data);
                clock.push([currentTime, video.currentTime]);
            }
        });

        const hear = async (place, length) => {
            video.currentTime = place;
            await loaded(length);
            [blocks, clock] = [[], []];
            seen.frames.length = 0;
            await video.play();
            await until(() => video.currentTime >= place + length, `${length} s are played`, 60);
            video.pause();

            const sound = new Float32Array(blocks.reduce((n, { samples }) => n + samples.length, 0));
            blocks.reduce((at, { samples }) => (sound.set(samples, at), at + samples.length), 0);
            const pulses = pulsesIn(sound, context.sampleRate).map((t) => t + blocks[0].at);
            blocks = null;
            return { place, pulses, clock, frames: [...seen.frames] };
        };
        const heard = [];
        video.requestVideoFrameCallback(watch);
        await hear(places[0], 1);
        for (const place of places)
            heard.push(await hear(place, seconds));
        await context.close();
        return { heard, ...report() };
    }

    /* The first subtitles as the element gets them, until there are `most`: some players hand
     * it all of them at once, dash.js those that are near, so it plays if it has to. Each
     * is { from, to, text }. */
    async function read(most) {
        const cues = new Map();
        const all = () => {
            for (const track of video.textTracks)
                for (const { startTime, endTime, text } of track.cues || [])
                    cues.set(`${startTime} ${endTime} ${text}`, { from: startTime, to: endTime, text });
            return cues.size >= most || video.ended;
        };
        adapter.read();
        await loaded(2);
        await until(all, '', 5).catch(() => {});
        video.playbackRate = 2;
        await video.play();
        await until(all, `${most} subtitles are there`, 60);
        video.pause();
        return { cues: [...cues.values()], ...report() };
    }

    /* The picture at `time` in 8 by 8 means, by rows: [red, green, blue]. */
    async function look(time) {
        video.currentTime = time;
        await until(() => !video.seeking && video.readyState >= 2, `a seek to ${time} ends`, 60, ['seeked']);
        const small = new OffscreenCanvas(8, 8).getContext('2d', { willReadFrequently: true });
        const whole = await createImageBitmap(video, { resizeWidth: 8, resizeHeight: 8, resizeQuality: 'high' });
        small.drawImage(whole, 0, 0);
        const { data } = small.getImageData(0, 0, 8, 8);
        const grid = Array.from({ length: 64 }, (_, i) => Array.from(data.slice(4 * i, 4 * i + 3)));
        return { grid, ...report() };
    }

    /* What shows where seeks would go, at each of `times`: the number that the tile shows. */
    async function tiles(times) {
        const shown = [];
        for (const time of times) {
            const tile = await adapter.tile(time);
            if (!tile) {
                shown.push({ time, number: -1 });
                continue;
            }
            const { url, x, y, width, height } = tile, answer = await fetch(url);
            const picture = await createImageBitmap(await answer.blob(), x, y, width, height);
            shown.push({ time, number: numberOf(picture, width, height) });
        }
        return { tiles: shown, ...report() };
    }

    return {
        complain: (words) => seen.complaints.push(`${words} (at ${video.currentTime})`),
        open, play, seek, change, listen, look, read, report, speak, tiles,
        tracks: () => adapter.tracks(),
    };
})();
