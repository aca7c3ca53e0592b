// What the tests ask a page. `stops` are the places at which Tab is to stop, in their order; `stop` is
// the one that has the keyboard, by its number there, with whether it is seen to have it.
const stops = () => [...document.querySelectorAll("a[href], summary")].filter((e) => e.checkVisibility());
const stop = () => {
  const at = document.activeElement;
  const box = at.getBoundingClientRect();
  const isSeen = getComputedStyle(at).outlineStyle !== "none" && box.width > 0 && box.right > 0;
  return [stops().indexOf(at), isSeen];
};

// Texts that are too small to read: below 8 pixels as they are shown.
const small = () => [...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && [...e.childNodes].some((node) => node.data?.trim()))
  .filter((e) => parseFloat(getComputedStyle(e).fontSize) * (e.getScreenCTM?.().a ?? 1) < 8)
  .map((e) => e.tagName);

// Texts that are hard to read: less contrast with what is behind them than 4.5 : 1 (WCAG 2.2, 1.4.3).
const channels = (color) => color.match(/[\d.]+/g).map(Number);
const light = (color) => {
  const [red, green, blue] = channels(color).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const ground = (element) => {
  const color = getComputedStyle(element).backgroundColor;
  const isClear = channels(color)[3] === 0;
  return isClear ? ground(element.parentElement) : color;
};
const faint = () => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = new Set();
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [dark, bright] = [light(ink), light(ground(element))].sort((a, b) => a - b);
    const contrast = (bright + 0.05) / (dark + 0.05);
    if (contrast < 4.5) found.add(`${element.tagName}.${element.className} ${ink}: ${contrast}`);
  }
  return [...found];
};
