#!/bin/sh
# mkvmerge's cropping beside the size at which Matroska has a picture shown.
#
# Version   mkvtoolnix 74.0.0 (Debian 12); the picture is made by npm's @ffmpeg-installer/linux-x64 4.1.0.
# Guess     A video of 320x180 whose PixelCropTop and PixelCropBottom are set to 40 by mkvmerge gets
#           DisplayWidth x DisplayHeight of what is left, 320x100: by RFC 9559 (DisplayWidth), in pixels
#           they are the size of the picture after PixelCrop, and by default computed from it.
# Seen      They are written, and stay 320x180. A player that goes by the RFC stretches 100 lines to 180;
#           so does one that crops at all. A reader has to tell from the numbers whether a file's display
#           size is of the whole picture or of the cropped one.
#
# Exits with 0 while that holds, and with 1 once it changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
npm install --silent --no-save --prefix . @ffmpeg-installer/linux-x64@4.1.0 >/dev/null
ffmpeg=$(find node_modules -name ffmpeg -type f | head -n 1)
chmod +x "$ffmpeg"

# The program and what it is linked to, without installing any of it.
apt-get download -qq mkvtoolnix=74.0.0-1+deb12u1 libboost-filesystem1.74.0 libdvdread8 libebml5 libflac12 libfmt9 \
    libgmp10 libmatroska7 libogg0 libpugixml1v5 libqt5core5a libvorbis0a libdouble-conversion3 libicu72 \
    libpcre2-16-0 libglib2.0-0 libzstd1 2>/dev/null
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH
root/usr/bin/mkvmerge --version

env -u LD_LIBRARY_PATH "$ffmpeg" -v error -f lavfi -i testsrc=s=320x180:d=1 -c:v libx264 plain.mp4
root/usr/bin/mkvmerge --quiet --cropping 0:0,40,0,40 -o cropped.mkv plain.mp4
root/usr/bin/mkvinfo cropped.mkv | grep -iE "pixel|display|crop" | tee seen
grep -q "Display height: 180" seen && grep -qi "crop.*: 40" seen
