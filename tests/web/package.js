/* What a package promises: read from its playlists and its manifest. */
'use strict';

const fs = require('fs');
const path = require('path');

const read = (...names) => fs.readFileSync(path.join(...names), 'utf8');

/* Attributes of a tag's line: NAME=value or NAME="value". */
const attributes = (line) =>
    Object.fromEntries([...line.matchAll(/([A-Z-]+)=(?:"([^"]*)"|([^,]*))/g)].map(([, name, a, b]) => [name, a ?? b]));

function variantsOf(master) {
    return [...master.matchAll(/^#EXT-X-STREAM-INF:(.*)\n(.*)$/gm)].map(([, line, uri]) => {
        const { CODECS, RESOLUTION } = attributes(line);
        const [width, height] = RESOLUTION.split('x').map(Number);
        return { uri, codecs: CODECS.split(','), width, height };
    });
}

/* The languages of a type of EXT-X-MEDIA, each once, '' for one that isn't told. */
function languagesOf(master, type) {
    const lines = [...master.matchAll(/^#EXT-X-MEDIA:(.*)$/gm)].map(([, line]) => attributes(line));
    return [...new Set(lines.filter(({ TYPE }) => TYPE === type).map(({ LANGUAGE = '' }) => LANGUAGE))].sort();
}

/* [{ from, to, text }] of the first subtitles. */
function cuesOf(folder, master) {
    const uri = (/^#EXT-X-MEDIA:TYPE=SUBTITLES,.*URI="([^"]*)"/m.exec(master) || [])[1];
    if (!uri)
        return [];
    const time = (text) => text.split(':').reduce((sum, part) => 60 * sum + Number(part), 0);
    return [...read(folder, path.dirname(uri), 'all.vtt').matchAll(/^([0-9:.]+) --> ([0-9:.]+).*\n((?:.+\n?)+)/gm)]
        .map(([, from, to, text]) => ({ from: time(from), to: time(to), text: text.trim() }));
}

/* `seconds` by each manifest, `joints` (where segments begin, from the second on),
 * `sizes` { height: width }, `heights` from small to large, `codecs`, that of its `sound`, the languages of
 * its tracks { audio, text }, and the `cues` of the first subtitles. */
function packageAt(folder) {
    const master = read(folder, 'master.m3u8'), variants = variantsOf(master);
    const lengths = [...read(folder, variants[0].uri).matchAll(/^#EXTINF:([0-9.]+)/gm)].map(([, x]) => Number(x));
    const joints = [];
    const total = lengths.reduce((sum, length) => (joints.push(sum), sum + length), 0);
    return {
        seconds: {
            'master.m3u8': total,
            'manifest.mpd': Number(/mediaPresentationDuration="PT([0-9.]+)S"/.exec(read(folder, 'manifest.mpd'))[1]),
        },
        joints: joints.slice(1),
        sizes: Object.fromEntries(variants.map(({ height, width }) => [height, width])),
        heights: variants.map(({ height }) => height).sort((a, b) => a - b),
        codecs: [...new Set(variants.flatMap(({ codecs }) => codecs))],
        sound: variants[0].codecs.find((codec) => /^(mp4a|opus)/i.test(codec)),
        tracks: { audio: languagesOf(master, 'AUDIO'), text: languagesOf(master, 'SUBTITLES') },
        cues: cuesOf(folder, master),
    };
}

module.exports = { packageAt };
