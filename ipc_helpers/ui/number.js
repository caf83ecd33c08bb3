// A label, a box and a slider for one whole number. The slider stops at round numbers; the box takes any.

const distance = (stop, value) =>
  (Math.max(stop, value) + 1) / (Math.max(Math.min(stop, value), 0) + 1); // by ratio, as the scale is

const nearest = (stops, value) =>
  stops.reduce((best, stop, index) => (distance(stop, value) < distance(stops[best], value) ? index : best), 0);

function render({ model, el }) {
  const [label, box, slider] = ["label", "input", "input"].map((tag) => document.createElement(tag));
  const name = model.get("label");
  const stops = model.get("stops");
  label.textContent = name;
  Object.assign(box, { id: `ipc-number-${crypto.getRandomValues(new Uint32Array(2)).join("")}`, type: "number" });
  label.htmlFor = box.id;
  Object.assign(slider, { type: "range", min: 0, max: stops.length - 1, step: 1 });
  slider.setAttribute("aria-label", name);
  slider.dataset.lmSuppressShortcuts = "true"; // or JupyterLab moves to another cell with the arrow keys

  const show = () => {
    const value = model.get("value");
    box.value = value;
    slider.value = nearest(stops, value);
    slider.setAttribute("aria-valuetext", stops[slider.value].toLocaleString("en"));
  };
  const tell = (value, event) => {
    model.set("value", value);
    if (event) model.set(event, model.get(event) + 1); // in one message: the value is there when it is heard
    model.save_changes();
  };
  const tellTyped = (event) => {
    const typed = Math.trunc(box.valueAsNumber);
    if (Math.abs(typed) <= Number.MAX_SAFE_INTEGER) tell(typed, event);
    show();
  };
  slider.addEventListener("input", () => tell(stops[slider.value]));
  slider.addEventListener("change", () => tell(stops[slider.value], "released"));
  box.addEventListener("change", () => tellTyped());
  box.addEventListener("keydown", (event) => event.key === "Enter" && tellTyped("entered"));
  model.on("change:value", show);
  el.classList.add("ipc-number");
  el.append(label, box, slider);
  show();
  return () => model.off("change:value", show);
}

export default { render };
