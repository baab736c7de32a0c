// Shows the buttons that need a script, next to what is shown only once.
for (const button of document.querySelectorAll("button[data-do]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (button.dataset.do === "print") {
      window.print();
      return;
    }
    const shown = document.getElementById(button.dataset.of);
    const lines = [...shown.querySelectorAll("li")].map((line) => line.textContent.trim());
    const text = lines.length ? lines.join("\n") : shown.textContent.trim();
    await navigator.clipboard.writeText(text);
    document.getElementById("kept").textContent = button.dataset.done;
  });
}
