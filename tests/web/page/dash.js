'use strict';

const adapter = {
    load(video, url, ahead, lowest) {
        const { events } = dashjs.MediaPlayer;
        this.player = dashjs.MediaPlayer().create();
        this.player.updateSettings({
            debug: { logLevel: dashjs.Debug.LOG_LEVEL_WARNING },
            streaming: {
                buffer: { bufferTimeDefault: ahead, bufferTimeAtTopQuality: ahead, bufferTimeAtTopQualityLongForm: ahead,
                    bufferToKeep: 600, initialBufferLevel: NaN },
                abr: { autoSwitchBitrate: { video: !lowest }, initialBitrate: { video: lowest ? 1 : -1 } },
            },
        });
        this.player.on(events.ERROR, ({ error }) => stage.complain(`dash.js: ${error.code}, ${error.message}`));
        this.player.on(events.PLAYBACK_ERROR, ({ error }) => stage.complain(`dash.js: playback, ${JSON.stringify(error)}`));
        const known = new Promise((keep) => this.player.on(events.STREAM_INITIALIZED, keep));
        this.player.initialize(video, url, false);
        return known;
    },

    choose(height) {
        const it = this.player.getRepresentationsByType('video').find((r) => r.height === height);
        this.player.setRepresentationForTypeById('video', it.id, false);
    },
    read() {
        this.player.enableText(true);
        this.player.setTextTrack(0);
    },
    say(language) {
        this.player.setCurrentTrack(this.player.getTracksFor('audio').find(({ lang }) => lang === language));
    },
    tile(time) {
        return new Promise((keep) => this.player.provideThumbnail(time, keep));
    },
    tracks() {
        const languages = (type) => this.player.getTracksFor(type).map((track) => track.lang || '');
        return { audio: languages('audio'), text: languages('text') };
    },
};
