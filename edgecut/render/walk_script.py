"""The script of a front that is walked along: budgets dragged, and what wins said."""

from __future__ import annotations

WALK_SCRIPT = r"""
(function () {
  var sliders = Array.from(document.querySelectorAll('.sliders input'));
  var marks = document.querySelectorAll('.mark');
  var asked = new URLSearchParams(location.search);
  function steps(slider) { return JSON.parse(slider.dataset.steps); }
  sliders.forEach(function (slider) {
    var limit = parseFloat(asked.get(slider.name));
    var at = steps(slider).filter(function (step) { return step[0] <= limit; }).length - 1;
    slider.value = isNaN(limit) ? slider.max : Math.max(0, at);
    slider.addEventListener('input', update);
  });
  function over(point) {
    return sliders.filter(function (slider) {
      var limit = steps(slider)[slider.value];
      if (slider.value === slider.max) { return false; }
      return point[slider.name] === null || point[slider.name] > limit[0];
    }).map(function (slider) {
      return slider.name + (point[slider.name] === null ? ' unknown' : ' over ' + steps(slider)[slider.value][1]);
    });
  }
  function update() {
    sliders.forEach(function (slider) {
      var words = steps(slider)[slider.value][1];
      slider.parentNode.querySelector('output[for="' + slider.id + '"]').textContent =
        slider.value === slider.max ? 'any' : words;
      slider.setAttribute('aria-valuetext', slider.value === slider.max ? 'any' : words);
    });
    var rows = front.points.map(function (point, k) { return {point: point, k: k, over: over(point)}; });
    var inside = rows.filter(function (row) { return row.over.length === 0; });
    inside.sort(function (a, b) {
      return b.point.accuracy - a.point.accuracy || (a.point.latency || 0) - (b.point.latency || 0);
    });
    var best = inside[0];
    var wins = document.getElementById('wins'), why = document.getElementById('why');
    why.textContent = '';
    function line(text) { why.appendChild(document.createElement('li')).textContent = text; }
    if (!best) {
      wins.textContent = 'Nothing is within these budgets.';
    } else {
      wins.textContent = best.point.name + ': ' + front.called + ' ' + best.point.accuracy.toFixed(3) +
        ' (' + best.point.by + ')';
      line('the best of ' + inside.length + ' within the budgets, of ' + rows.length);
      if (best.point.why) { line('the search chose it, too: ' + best.point.why); }
    }
    rows.filter(function (row) {
      return row.over.length && (!best || row.point.accuracy > best.point.accuracy);
    }).sort(function (a, b) { return b.point.accuracy - a.point.accuracy; }).slice(0, 3).forEach(function (row) {
      line(row.point.name + ' would give ' + row.point.accuracy.toFixed(3) + ', and is out: ' + row.over.join(', '));
    });
    marks.forEach(function (mark) {
      var row = rows[mark.dataset.k];
      mark.classList.toggle('out', row.over.length > 0);
      mark.classList.toggle('wins', Boolean(best) && row.k === best.k);
    });
  }
  update();
})();
"""
