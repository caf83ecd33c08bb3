// A panel's picture. It tells the kernel how large it is shown, and copies text for the panel.

function render({ model, el }) {
  const image = document.createElement("img");
  image.className = "ipc-figure";
  const show = () => {
    const svg = model.get("svg");
    image.hidden = !svg;
    image.alt = model.get("alt");
    if (svg) image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  };
  const measure = () => {
    if (!el.clientWidth) return; // not in view
    model.set({ width: el.clientWidth, height: el.clientHeight, text: parseFloat(getComputedStyle(el).fontSize) });
    model.save_changes();
  };
  let later;
  const observer = new ResizeObserver(() => {
    clearTimeout(later);
    later = setTimeout(measure, 200);
  });
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text); // not everywhere, and not over plain HTTP
      model.send({ copied: true });
    } catch {
      model.send({ copied: false });
    }
  };
  model.on("change:svg", show);
  model.on("change:alt", show);
  model.on("msg:custom", copy);
  el.append(image);
  observer.observe(el);
  show();
  return () => {
    clearTimeout(later);
    observer.disconnect();
    model.off("change:svg", show);
    model.off("change:alt", show);
    model.off("msg:custom", copy);
  };
}

export default { render };
