/* Debian's Chromium, driven by playwright-core, with a page for each player. */
'use strict';

const fs = require('fs');
const path = require('path');

const LIBRARIES = {
    hls: '/modules/hls.js/dist/hls.min.js',
    dash: '/modules/dashjs/dist/modern/umd/dash.all.min.js',
    shaka: '/modules/shaka-player/dist/shaka-player.compiled.js',
};

/* `modules`: the folder node_modules with playwright-core in it. */
function launch(modules, home) {
    const { chromium } = require(path.join(modules, 'playwright-core'));
    return chromium.launch({
        executablePath: process.env.GOPMILL_CHROMIUM || '/usr/bin/chromium',
        headless: true,
        args: ['--autoplay-policy=no-user-gesture-required', '--disable-gpu'],
        env: { ...process.env, HOME: home },
        timeout: 120000,
    });
}

/* A page of its own for one fact. What the page says on its console is kept, and goes
 * into a folder with its picture when the fact does not hold. */
class Page {
    static async open(browser, url) {
        const context = await browser.newContext({ viewport: { width: 400, height: 240 } });
        const page = await context.newPage(), it = new Page();
        Object.assign(it, { context, page, url, log: [], media: [] });
        page.on('console', (message) => it.log.push(`${message.type()}: ${message.text()}`));
        page.on('pageerror', (error) => it.log.push(`uncaught: ${error.stack || error}`));
        page.on('crash', () => it.log.push('the page has crashed'));
        page.on('requestfailed', (r) => it.log.push(`request failed: ${r.url()} ${(r.failure() || {}).errorText}`));
        await it.hear();
        return it;
    }

    /* What Chromium's demuxers and decoders say, as chrome://media-internals shows it. */
    async hear() {
        const session = await this.context.newCDPSession(this.page);
        session.on('Media.playerMessagesLogged', ({ messages }) => this.media.push(...messages.map(({ message }) => message)));
        session.on('Media.playerErrorsRaised', ({ errors }) => this.media.push(...errors.map((error) => JSON.stringify(error))));
        await session.send('Media.enable');
    }

    /* `what`: { player, manifest, ahead, lowest }, see page/stage.js. */
    async stage({ player, manifest, ahead = 30, lowest = false }) {
        const query = new URLSearchParams({ player, library: LIBRARIES[player], manifest, ahead, lowest });
        this.media.length = 0;
        await this.page.goto(`${this.url}/page/page.html?${query}`);
        await this.page.evaluate(() => stage.open());
    }

    /* Runs stage.<what>(...args) in the page. */
    run(what, ...args) {
        return this.page.evaluate(([name, list]) => stage[name](...list), [what, args]);
    }

    /* What the page shows and has said, as files in `folder`; its name without ending. */
    async keep(folder, name) {
        const file = path.join(folder, name.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, ''));
        fs.mkdirSync(folder, { recursive: true });
        const state = await limited(this.page.evaluate(() => JSON.stringify(stage.report(), null, 1)), 5)
            .catch((error) => `no report: ${error.message}`);
        fs.writeFileSync(`${file}.log`, `${[...this.log, ...this.media].join('\n')}\n${state}\n`);
        await this.page.screenshot({ path: `${file}.png`, timeout: 10000 }).catch(() => {});
        return file;
    }

    close() {
        return limited(this.context.close(), 10).catch(() => {});
    }
}

function limited(promise, seconds) {
    let timer;
    const limit = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Error(`not within ${seconds} s`)), seconds * 1000);
    });
    return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

module.exports = { launch, limited, Page };
