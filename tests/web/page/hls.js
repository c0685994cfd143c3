'use strict';

const adapter = {
    load(video, url, ahead, lowest) {
        this.hls = new Hls({
            maxBufferLength: ahead,
            maxMaxBufferLength: ahead,
            backBufferLength: Infinity,
        });
        this.hls.on(Hls.Events.ERROR, (_, e) => {
            if (!e.fatal && e.details === Hls.ErrorDetails.INTERNAL_ABORTED)
                return; /* what a seek makes needless */
            if (!e.fatal && e.details === Hls.ErrorDetails.BUFFER_STALLED_ERROR)
                return; /* its word for 'waiting', which the stage hears itself */
            stage.complain(`hls.js: ${e.type}, ${e.details}${e.fatal ? ', fatal' : ''} ${e.error || ''}`);
        });
        const known = new Promise((keep) => this.hls.on(Hls.Events.MANIFEST_PARSED, keep));
        if (lowest) /* they are sorted */
            this.hls.on(Hls.Events.MANIFEST_PARSED, () => (this.hls.startLevel = this.hls.loadLevel = 0));
        this.hls.loadSource(url);
        this.hls.attachMedia(video);
        return known;
    },

    choose(height) {
        this.hls.nextLevel = this.hls.levels.findIndex((level) => level.height === height);
    },
    read() {
        this.hls.subtitleDisplay = true;
        this.hls.subtitleTrack = 0;
    },
    say(language) {
        this.hls.audioTrack = this.hls.audioTracks.findIndex(({ lang }) => lang === language);
    },
    tracks() {
        return {
            audio: this.hls.audioTracks.map((track) => track.lang || ''),
            text: this.hls.subtitleTracks.map((track) => track.lang || ''),
        };
    },
};
