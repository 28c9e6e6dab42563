// Tells the server of this page what the page shows: at each frame where that has changed.
const element = (id) => document.getElementById(id);

let told = '';
let telling = Promise.resolve();

function look() {
  const shown = JSON.stringify({
    connection: element('connection').textContent,
    progress: element('progress').value,
    progress_text: element('progress-text').textContent,
    activity: [...element('activity').children].map((entry) => entry.textContent),
    completion: element('completion').textContent,
  });
  if (shown !== told) {
    told = shown;
    // One after the other, so that they arrive in order.
    telling = telling.then(() => fetch('shown', { method: 'POST', body: shown }));
  }
  requestAnimationFrame(look);
}

look();
