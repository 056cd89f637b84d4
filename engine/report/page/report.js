'use strict';
(() => {
  // What a reload must not lose. Some browsers keep nothing for local files: then it starts anew.
  const key = 'hourglass ' + location.pathname;
  let state = {share: 0.5, zoom: 'fit', left: 0, top: 0};
  try { state = Object.assign(state, JSON.parse(sessionStorage.getItem(key))); } catch (ignored) {}
  const remember = () => {
    try { sessionStorage.setItem(key, JSON.stringify(state)); } catch (ignored) {}
  };

  // The comparison. The divider belongs to the view, not to the image: it stays in sight when a large image is scrolled.
  let dragging = false;
  const compare = document.querySelector('.compare');
  if (compare) {
    const view = compare.querySelector('.view'), stage = compare.querySelector('.stage');
    const divider = compare.querySelector('.divider'), slider = document.getElementById('share');
    const zooms = document.querySelectorAll('[data-zoom]');
    const width = Number(stage.dataset.width), height = Number(stage.dataset.height);

    const place = () => {
      const x = state.share * view.clientWidth;
      const offset = stage.getBoundingClientRect().left - view.getBoundingClientRect().left;
      divider.style.left = x + 'px';
      stage.style.setProperty('--cut', Math.min(Math.max(x - offset, 0), stage.clientWidth) + 'px');
      slider.value = Math.round(state.share * 100);
      slider.setAttribute('aria-valuetext', slider.value + ' % before');
    };
    const zoom = (wanted) => {
      state.zoom = wanted;
      const ratio = window.devicePixelRatio || 1;
      // Fit enlarges small images, by whole numbers so that their pixels stay even, and shrinks large ones.
      const room = Math.min(compare.clientWidth / width, 0.82 * window.innerHeight / height);
      const fit = room >= 1 ? Math.floor(room) : room;
      const factor = wanted === 'fit' ? fit : Number(wanted) / ratio;
      stage.style.width = width * factor + 'px';
      stage.style.height = height * factor + 'px';
      stage.classList.toggle('enlarged', factor * ratio > 1.01);
      zooms.forEach((button) => button.setAttribute('aria-pressed', String(button.dataset.zoom === wanted)));
      place();
    };
    const drag = (event) => {
      const box = view.getBoundingClientRect();
      state.share = Math.min(Math.max((event.clientX - box.left) / view.clientWidth, 0), 1);
      place();
    };
    view.addEventListener('pointerdown', (event) => {
      // Not the scroll bars.
      const box = view.getBoundingClientRect();
      if (event.clientX - box.left > view.clientWidth || event.clientY - box.top > view.clientHeight) return;
      dragging = true;
      if (event.pointerType !== 'touch') view.setPointerCapture(event.pointerId);
      drag(event);
    });
    view.addEventListener('pointermove', (event) => { if (dragging) drag(event); });
    const release = () => { dragging = false; remember(); };
    view.addEventListener('pointerup', release);
    view.addEventListener('pointercancel', release);
    view.addEventListener('scroll', () => {
      state.left = view.scrollLeft;
      state.top = view.scrollTop;
      place();
      remember();
    });
    slider.addEventListener('input', () => {
      state.share = Number(slider.value) / 100;
      place();
      remember();
    });
    zooms.forEach((button) => button.addEventListener('click', () => {
      zoom(button.dataset.zoom);
      remember();
    }));
    window.addEventListener('resize', () => zoom(state.zoom));
    const {left, top} = state;
    zoom(state.zoom);
    view.scrollTo(left, top);
  }

  const copy = document.getElementById('copy');
  if (copy) {
    copy.addEventListener('click', async () => {
      const text = document.getElementById('command').textContent;
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = 'Copied';
      } catch (refused) {
        getSelection().selectAllChildren(document.getElementById('command'));
        copy.textContent = 'Selected';
      }
    });
  }

  // While the run goes on: look again, but not while someone drags, and not in the background.
  const running = document.querySelector('[data-written]');
  if (running) {
    const every = 4000, silence = 60;
    const age = Date.now() / 1000 - Number(running.dataset.written);
    if (age > Math.max(silence, 5 * Number(running.dataset.every))) {
      const stale = document.createElement('p');
      stale.className = 'stale';
      stale.textContent = 'Nothing new for ' + Math.round(age / 60) + ' min: the run may have ended without a word.';
      running.after(stale);
    }
    const again = () => {
      if (dragging || document.hidden) {
        setTimeout(again, 500);
      } else {
        location.reload();
      }
    };
    setTimeout(again, every);
  }
})();
