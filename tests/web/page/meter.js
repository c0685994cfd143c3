/* Hands the sound of the first channel to the page, with its place on the context's clock. */
'use strict';

const BLOCKS = 8; /* of 128 samples, a message */

class Meter extends AudioWorkletProcessor {
    constructor() {
        super();
        this.samples = new Float32Array(128 * BLOCKS);
        this.filled = 0;
    }

    process([[first]], [output]) {
        if (this.filled === 0)
            this.at = currentTime;
        if (first) {
            this.samples.set(first, this.filled);
            output.forEach((channel) => channel.set(first));
        } else {
            this.samples.fill(0, this.filled, this.filled + 128);
        }
        this.filled += 128;
        if (this.filled === this.samples.length) {
            this.port.postMessage({ at: this.at, samples: this.samples.slice() });
            this.filled = 0;
        }
        return true;
    }
}

registerProcessor('meter', Meter);
