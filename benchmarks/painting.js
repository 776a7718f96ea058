// What browser.py does in its pages to find which marked words Chromium paints.
globalThis.painting = {
  undo: [],

  // Each mail in a frame of its own, one below the other.
  show(mails, width, height) {
    document.body.replaceChildren();
    for (const mail of mails) {
      const frame = document.createElement("iframe");
      frame.scrolling = "no";
      frame.style = `border: 0; display: block; width: ${width}px; height: ${height}px`;
      document.body.append(frame);
      const page = frame.contentDocument;
      page.open();
      page.write(mail);
      page.close();
      const even = page.createElement("style");
      even.textContent = "* { font-kerning: none !important; font-variant-ligatures: none !important }";
      page.documentElement.append(even);
    }
  },

  // Write one word of each mail backwards, wherever it stands: in text, in an attribute, in a style sheet.
  reverse(words) {
    for (const [place, frame] of [...document.querySelectorAll("iframe")].entries()) {
      if (!words[place]) continue;
      const word = new RegExp(words[place] + "(?!\\w)", "g");
      const change = (text) => text.replace(word, (found) => [...found].reverse().join(""));
      const page = frame.contentDocument;
      const walker = page.createTreeWalker(page, NodeFilter.SHOW_ALL);
      for (let node = walker.currentNode; node; node = walker.nextNode()) {
        if (node instanceof frame.contentWindow.CharacterData) {
          const { data } = node;
          if (change(data) !== data) {
            node.data = change(data);
            this.undo.push(() => (node.data = data));
          }
        }
        for (const { name, value } of [...(node.attributes || [])])
          if (change(value) !== value) {
            node.setAttribute(name, change(value));
            this.undo.push(() => node.setAttribute(name, value));
          }
      }
    }
  },

  restore() {
    for (const step of this.undo.splice(0)) step();
  },

  async pixels(picture) {
    const image = new Image();
    image.src = "data:image/png;base64," + picture;
    await image.decode();
    const drawn = new OffscreenCanvas(image.width, image.height).getContext("2d");
    drawn.drawImage(image, 0, 0);
    return drawn.getImageData(0, 0, image.width, image.height);
  },

  async remember(picture) {
    this.before = await this.pixels(picture);
  },

  // For each band of so many rows, how many pixels differ from those remembered: by more than 8 of 255, and by more than 24.
  async changes(picture, band) {
    const [one, other] = [this.before, await this.pixels(picture)];
    const whole = [one, other].map(({ data }) => new Uint32Array(data.buffer));
    const counts = Array.from({ length: one.height / band }, () => [0, 0]);
    for (let pixel = 0; pixel < whole[0].length; pixel++) {
      if (whole[0][pixel] === whole[1][pixel]) continue;
      const change = Math.max(...[0, 1, 2].map((i) => Math.abs(one.data[pixel * 4 + i] - other.data[pixel * 4 + i])));
      const count = counts[Math.floor(pixel / one.width / band)];
      count[0] += change > 8;
      count[1] += change > 24;
    }
    return counts;
  },
};
