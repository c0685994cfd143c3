/* Serves folders to a browser, as an S3 bucket or a web server would: types, ranges,
 * 404. On the loopback, at a free port. */
'use strict';

const fs = require('fs');
const http = require('http');
const path = require('path');

const TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript',
    '.m3u8': 'application/vnd.apple.mpegurl',
    '.mpd': 'application/dash+xml',
    '.mp4': 'video/mp4',
    '.m4s': 'video/iso.segment',
    '.vtt': 'text/vtt; charset=utf-8',
    '.jpg': 'image/jpeg',
    '.json': 'application/json',
};

/* "bytes=A-B", "bytes=A-" or "bytes=-N" as [first, last]; null where there is none,
 * undefined where it can't be met. */
function rangeOf(header, size) {
    const found = /^bytes=(\d*)-(\d*)$/.exec(header || '');
    if (!found || (!found[1] && !found[2]))
        return null;
    const first = found[1] ? Number(found[1]) : Math.max(size - Number(found[2]), 0);
    const last = found[1] && found[2] ? Math.min(Number(found[2]), size - 1) : size - 1;
    return first <= last ? [first, last] : undefined;
}

/* `folders`: { '/name/': folder }. The file that a URL's path means, if there is one. */
function fileOf(folders, pathname) {
    const mount = Object.keys(folders).find((name) => pathname.startsWith(name));
    if (!mount || pathname.split('/').includes('..'))
        return null;
    const file = path.join(folders[mount], pathname.slice(mount.length));
    return fs.existsSync(file) && fs.statSync(file).isFile() ? file : null;
}

function answer(folders, missing, request, response) {
    const pathname = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
    const file = fileOf(folders, pathname);
    if (!file) {
        if (pathname !== '/favicon.ico')
            missing.push(pathname);
        response.writeHead(404).end();
        return;
    }
    const size = fs.statSync(file).size, range = rangeOf(request.headers.range, size);
    if (range === undefined) {
        response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
        return;
    }
    const [first, last] = range || [0, size - 1];
    const headers = {
        'Content-Type': TYPES[path.extname(file)] || 'application/octet-stream',
        'Content-Length': last - first + 1,
        'Accept-Ranges': 'bytes',
    };
    if (range)
        headers['Content-Range'] = `bytes ${first}-${last}/${size}`;
    response.writeHead(range ? 206 : 200, headers);
    if (request.method === 'HEAD' || size === 0)
        response.end();
    else
        fs.createReadStream(file, { start: first, end: last }).on('error', () => response.destroy()).pipe(response);
}

/* { url, missing, close() }: `missing` grows by each path that was asked for in vain. */
function serve(folders) {
    const missing = [];
    const server = http.createServer((request, response) => answer(folders, missing, request, response));
    return new Promise((keep) => server.listen(0, '127.0.0.1', () => keep({
        url: `http://127.0.0.1:${server.address().port}`,
        missing,
        close: () => server.close(),
    })));
}

module.exports = { serve };
