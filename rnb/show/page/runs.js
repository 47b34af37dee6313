
// Runs that can be switched off.

function toggle(run) {
  for (const button of document.querySelectorAll(`[data-toggle="${run}"]`)) {
    const isOn = button.classList.toggle("off");
    button.setAttribute("aria-pressed", String(!isOn));
  }
  for (const mark of document.querySelectorAll(`[data-run="${run}"]`)) mark.classList.toggle("hidden");
}

for (const button of document.querySelectorAll("[data-toggle]")) {
  button.tabIndex = 0;
  button.setAttribute("role", "button");
  button.setAttribute("aria-pressed", "true");
  button.title = "show or hide this run";
  button.addEventListener("click", () => toggle(button.dataset.toggle));
  button.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      toggle(button.dataset.toggle);
    }
  });
}
