// Evaluated in the page of a message; returns its truth (browser.py says of what).
() => {
  const body = document.body;
  if (!body) return { inner: "", seen: "", hidden: "", links: [], beside: "" };

  // Words are hidden whose colour differs from what is behind them by no more than this (of 255, in any channel), or that
  // are no higher than so many pixels; shown above the other two bounds; and faint between: neither asked for nor blamed.
  const ALIKE = 8, DISTINCT = 24, TINY = 1, SMALL = 4;
  const PICTURE = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";

  // No picture can be fetched: each one without a size of its own gets a box, so that it is there as it would be.
  for (const image of document.images) {
    const sized = image.getAttribute("width") || image.getAttribute("height") || image.style.width || image.style.height;
    image.removeAttribute("srcset");
    image.src = PICTURE;
    if (!sized && getComputedStyle(image).display !== "none") {
      image.style.minWidth ||= "40px";
      image.style.minHeight ||= "20px";
    }
  }

  const remember = (of) => {
    const known = new Map();
    return (element) => {
      if (!known.has(element)) known.set(element, of(element));
      return known.get(element);
    };
  };
  const style = remember((element) => getComputedStyle(element));
  const brush = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const channels = remember((color) => {
    const numbers = (color.match(/-?[\d.]+(?:e-?\d+)?/g) || []).map(Number);
    if (/^rgba?\(/.test(color)) return [...numbers.slice(0, 3), numbers.length > 3 ? numbers[3] : 1];
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = color;
    brush.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = brush.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  });
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);

  // The colour behind an element, or null where a picture or gradient makes it unknown.
  const background = remember((element) => {
    if (!element) return [255, 255, 255, 1];
    if (style(element).display === "contents") return background(element.parentElement);
    const own = channels(style(element).backgroundColor);
    if (style(element).backgroundImage !== "none") return null;
    if (own[3] === 1) return own;
    const below = background(element.parentElement);
    return below && over(own, below);
  });
  const opacity = remember((element) => {
    if (!element) return 1;
    const own = style(element).display === "contents" ? 1 : Number(style(element).opacity);
    return own * opacity(element.parentElement);
  });
  const unclippedBy = (outer) => outer === body || outer === document.documentElement;

  // The boxes that clip what stands in an element, as [left, top, right, bottom].
  const clips = remember((element) => {
    const found = [];
    let outer = element;
    while (outer && !unclippedBy(outer)) {
      const css = style(outer);
      const box = outer.getBoundingClientRect();
      const x = css.overflowX !== "visible", y = css.overflowY !== "visible";
      if (outer.tagName === "MARQUEE") return found;
      if ((x || y) && css.display !== "inline" && css.display !== "contents") {
        const reach = (value, size) => (value === "auto" || value === "scroll") && size > TINY;
        found.push([
          x && !reach(css.overflowX, box.width) ? box.left : -Infinity,
          y && !reach(css.overflowY, box.height) ? box.top : -Infinity,
          x && !reach(css.overflowX, box.width) ? box.right : Infinity,
          y && !reach(css.overflowY, box.height) ? box.bottom : Infinity,
        ]);
      }
      const placed = css.position === "absolute" || css.position === "fixed";
      if (placed && css.clip !== "auto") {
        const [top, right, bottom, left] = css.clip.match(/auto|-?[\d.]+/g).map((n) => (n === "auto" ? NaN : Number(n)));
        found.push([
          Number.isNaN(left) ? -Infinity : box.left + left,
          Number.isNaN(top) ? -Infinity : box.top + top,
          Number.isNaN(right) ? Infinity : box.left + right,
          Number.isNaN(bottom) ? Infinity : box.top + bottom,
        ]);
      }
      outer = outer.parentElement;
      if (placed) {
        const holds = (e) => css.position === "absolute" && style(e).position !== "static" || style(e).transform !== "none";
        while (outer && !holds(outer)) outer = outer.parentElement;
      }
    }
    return found;
  });
  const cutByPath = remember((element) =>
    !!element && (style(element).clipPath !== "none" || cutByPath(element.parentElement)));

  const scrolled = [window.scrollX, window.scrollY];
  const leftward = style(document.documentElement).direction === "rtl" || style(body).direction === "rtl";
  const inPage = (box, element) => element.closest("marquee") || (leftward || box.right + scrolled[0] > 0) && box.bottom + scrolled[1] > 0;
  const isHit = (box, element) => {
    window.scrollTo(0, box.top + scrolled[1] - 100);
    const moved = window.scrollY - scrolled[1];
    const spots = [0.1, 0.3, 0.5, 0.7, 0.9].map((part) => [box.left + box.width * part, box.top + box.height / 2 - moved]);
    const hit = spots.some(([x, y]) => document.elementsFromPoint(x, y).some((e) => element.contains(e)));
    window.scrollTo(...scrolled);
    return hit;
  };
  const boxShows = (box, element) => {
    if (box.width < 0.5 || box.height < 0.5 || !inPage(box, element)) return false;
    const within = clips(element).reduce(
      (b, c) => [Math.max(b[0], c[0]), Math.max(b[1], c[1]), Math.min(b[2], c[2]), Math.min(b[3], c[3])],
      [box.left, box.top, box.right, box.bottom]
    );
    if (within[2] - within[0] <= Math.min(TINY, box.width / 2)) return false;
    if (within[3] - within[1] <= Math.min(TINY, box.height / 2)) return false;
    return !cutByPath(element) || isHit(box, element);
  };
  const isThere = remember((element) =>
    style(element).display === "contents"
      ? style(element).visibility === "visible"
      : element.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true }));
  const HIDDEN = 0, FAINT = 1, SHOWN = 2;
  const graded = (value, most, least) => (value <= most ? HIDDEN : value < least ? FAINT : SHOWN);
  const ink = remember((element) => {
    const css = style(element);
    const size = graded(parseFloat(css.fontSize), TINY, SMALL);
    const behind = background(element);
    const front = channels(css.webkitTextFillColor);
    if (!behind || css.textShadow !== "none" || parseFloat(css.webkitTextStrokeWidth) > 0)
      return Math.min(size, graded(opacity(element) * 255, ALIKE, DISTINCT));
    const faded = over([...front.slice(0, 3), front[3] * opacity(element)], behind);
    const contrast = Math.max(...[0, 1, 2].map((i) => Math.abs(faded[i] - behind[i])));
    return Math.min(size, graded(contrast, ALIKE, DISTINCT));
  });
  const range = document.createRange();
  const grade = (node) => {
    const element = node.parentElement;
    if (!element || !isThere(element)) return HIDDEN;
    range.selectNodeContents(node);
    return [...range.getClientRects()].some((box) => boxShows(box, element)) ? ink(element) : HIDDEN;
  };
  const elementShows = (element, least) =>
    isThere(element) && opacity(element) > ALIKE / 255 &&
    [...element.getClientRects()].some((b) => b.width > least && b.height > least && boxShows(b, element.parentElement));

  const UNSPOKEN = new Set(["SCRIPT", "STYLE", "TITLE", "HEAD", "TEXTAREA"]);
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  const hidden = [], faint = [], spoken = new Set();
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.data.trim() || UNSPOKEN.has(node.parentElement?.tagName) || document.head?.contains(node)) continue;
    const found = grade(node);
    if (found !== SHOWN) (found === FAINT ? faint : hidden).push(node);
    else for (let e = node.parentElement; e && !spoken.has(e); e = e.parentElement) spoken.add(e);
  }
  const beside = faint.map((node) => node.data), shows = new Set();
  for (const image of document.querySelectorAll("img, input[type=image]"))
    if (elementShows(image, 1)) {
      beside.push(image.alt);
      for (let e = image; e && !shows.has(e); e = e.parentElement) shows.add(e);
    }
  for (const field of document.querySelectorAll("input, textarea, select, button"))
    if (elementShows(field, 1)) beside.push(field.checked ? "x" : "", field.value, field.placeholder || "", field.tagName === "SELECT" ? field.innerText : "");
  for (const list of document.querySelectorAll("ol")) {
    let number = list.start;
    for (const item of list.querySelectorAll("li"))
      if (item.closest("ol, ul, menu, dir") === list) {
        number = item.hasAttribute("value") ? item.value : number;
        beside.push(String(number++));
      }
  }
  const links = [...document.querySelectorAll("a[href]")]
    .filter((a) => ["http:", "https:", "mailto:"].includes(a.protocol) && (spoken.has(a) || shows.has(a)))
    .map((a) => [a.getAttribute("href"), a.href])
    .filter(([written]) => !written.trim().startsWith("#"));

  const inner = body.innerText;
  const gone = hidden.map((node) => node.data).join("\n");
  for (const node of [...hidden, ...faint]) node.data = "";
  return { inner, seen: body.innerText, hidden: gone, links, beside: beside.join("\n") };
}
