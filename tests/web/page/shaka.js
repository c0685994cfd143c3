'use strict';

const adapter = {
    async load(video, url, ahead, lowest) {
        shaka.polyfill.installAll();
        this.player = new shaka.Player();
        await this.player.attach(video);
        for (const type of ['error', 'gapjumped'])
            this.player.addEventListener(type, ({ detail }) =>
                stage.complain(`shaka: ${type} ${detail ? `${detail.code} ${detail.message || ''}` : ''}`));
        this.player.configure({
            streaming: {
                stallEnabled: false, /* else it seeks where the machine is slow */
                bufferingGoal: ahead, rebufferingGoal: Math.min(ahead, 2), bufferBehind: 600,
            },
            abr: { enabled: !lowest, defaultBandwidthEstimate: lowest ? 1 : 1e6 },
        });
        await this.player.load(url);
    },

    choose(height) {
        this.player.selectVariantTrack(this.player.getVariantTracks().find((track) => track.height === height));
    },
    read() {
        this.player.selectTextTrack(this.player.getTextTracks()[0]);
    },
    say(language) {
        this.player.selectAudioTrack(this.player.getAudioTracks().find((track) => track.language === language));
    },
    async tile(time) {
        const [track] = this.player.getImageTracks();
        const { uris, positionX, positionY, width, height } = await this.player.getThumbnails(track.id, time);
        return { url: uris[0], x: positionX, y: positionY, width, height };
    },
    tracks() {
        const languages = (tracks) => tracks.map(({ language }) => (language === 'und' ? '' : language));
        return {
            audio: languages(this.player.getAudioTracks()),
            text: languages(this.player.getTextTracks()),
        };
    },
};
