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
    const left = compare.querySelector('.tag.left'), right = compare.querySelector('.tag.right');
    const zooms = document.querySelectorAll('[data-zoom]');
    const width = Number(stage.dataset.width), height = Number(stage.dataset.height);
    const ratio = window.devicePixelRatio || 1, most = 32;

    const place = () => {
      const x = state.share * view.clientWidth;
      const offset = stage.getBoundingClientRect().left - view.getBoundingClientRect().left;
      divider.style.left = x + 'px';
      stage.style.setProperty('--cut', Math.min(Math.max(x - offset, 0), stage.clientWidth) + 'px');
      // The names stand inside of a narrow image too.
      left.style.left = right.style.right = Math.max(offset, 0) + 10 + 'px';
      slider.value = Math.round(state.share * 100);
      slider.setAttribute('aria-valuetext', slider.value + ' % ' + left.textContent);
    };
    const factorOf = (zoom) => {
      // Fit enlarges small images, by whole numbers so that their pixels stay even, and shrinks large ones.
      const room = Math.min(compare.clientWidth / width, 0.82 * window.innerHeight / height);
      return zoom === 'fit' ? (room >= 1 ? Math.floor(room) : room) : Number(zoom) / ratio;
    };
    // What lies at (x, y) in the view, by default its middle, stays there.
    const zoom = (wanted, x = view.clientWidth / 2, y = view.clientHeight / 2) => {
      const seen = () => [stage.offsetLeft - view.scrollLeft, stage.offsetTop - view.scrollTop];
      const [oldX, oldY] = seen();
      const old = stage.clientWidth / width || 1, factor = factorOf(wanted);
      state.zoom = String(wanted);
      stage.style.width = width * factor + 'px';
      stage.style.height = height * factor + 'px';
      stage.classList.toggle('enlarged', factor * ratio > 1.01);
      zooms.forEach((button) => button.setAttribute('aria-pressed', String(button.dataset.zoom === state.zoom)));
      view.scrollLeft = stage.offsetLeft + (x - oldX) / old * factor - x;
      view.scrollTop = stage.offsetTop + (y - oldY) / old * factor - y;
      view.classList.toggle('enlarged', view.scrollWidth > view.clientWidth || view.scrollHeight > view.clientHeight);
      state.left = view.scrollLeft;
      state.top = view.scrollTop;
      place();
    };
    const zoomBy = (times, x, y) => {
      const wanted = Math.min(factorOf(state.zoom) * times * ratio, most);
      zoom(wanted <= factorOf('fit') * ratio ? 'fit' : wanted, x, y);
      remember();
    };

    // One of the two alone, or both.
    const show = (only) => {
      state.only = only;
      compare.classList.toggle('only-before', only === 'before');
      compare.classList.toggle('only-after', only === 'after');
    };
    const blink = () => show(state.only === 'before' ? 'after' : 'before');
    const against = document.getElementById('against'), before = left.textContent;
    const compareWith = (original) => {
      state.against = original;
      compare.classList.toggle('against', original);
      left.textContent = original ? 'Original' : before;
      against.setAttribute('aria-pressed', String(original));
      place();
    };
    if (against) against.addEventListener('click', () => { compareWith(!state.against); remember(); });

    // Pointers: one moves the divider, or the image where there is more of it than the view shows; two zoom.
    const pointers = new Map();
    let moves = 'divider';
    const box = () => view.getBoundingClientRect();
    const nearDivider = (event) => Math.abs(event.clientX - box().left - state.share * view.clientWidth) < 16;
    const setShare = (share) => {
      show(null);
      state.share = Math.min(Math.max(share, 0), 1);
      place();
    };
    const spread = () => {
      const [a, b] = [...pointers.values()];
      return {size: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2 - box().left, y: (a.y + b.y) / 2 - box().top};
    };
    view.addEventListener('pointerdown', (event) => {
      // Not the scroll bars.
      if (event.clientX - box().left > view.clientWidth || event.clientY - box().top > view.clientHeight) return;
      if (event.pointerType === 'mouse' && event.button !== 0) return;
      pointers.set(event.pointerId, {x: event.clientX, y: event.clientY});
      dragging = true;
      moves = view.classList.contains('enlarged') && !nearDivider(event) ? 'image' : 'divider';
      if (event.pointerType !== 'touch') view.setPointerCapture(event.pointerId);
      if (moves === 'image') view.classList.add('held');
      else if (pointers.size === 1) setShare((event.clientX - box().left) / view.clientWidth);
    });
    view.addEventListener('pointermove', (event) => {
      const was = pointers.get(event.pointerId);
      if (!was) {
        view.classList.toggle('at-divider', nearDivider(event));
        return;
      }
      const size = pointers.size === 2 ? spread().size : 0;
      pointers.set(event.pointerId, {x: event.clientX, y: event.clientY});
      if (pointers.size === 2) {
        const now = spread();
        if (size > 0) zoomBy(now.size / size, now.x, now.y);
      } else if (moves === 'image') {
        view.scrollLeft -= event.clientX - was.x;
        view.scrollTop -= event.clientY - was.y;
      } else {
        setShare((event.clientX - box().left) / view.clientWidth);
      }
    });
    const release = (event) => {
      pointers.delete(event.pointerId);
      dragging = pointers.size > 0;
      view.classList.remove('held');
      remember();
    };
    view.addEventListener('pointerup', release);
    view.addEventListener('pointercancel', release);
    // A touch pad's two fingers arrive as a wheel with Ctrl.
    view.addEventListener('wheel', (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.005)), event.clientX - box().left,
             event.clientY - box().top);
    }, {passive: false});
    view.addEventListener('scroll', () => {
      state.left = view.scrollLeft;
      state.top = view.scrollTop;
      place();
      remember();
    });
    slider.addEventListener('input', () => {
      setShare(Number(slider.value) / 100);
      remember();
    });
    // As on the slider, where there is nothing to scroll sideways.
    view.addEventListener('keydown', (event) => {
      const steps = {ArrowLeft: -0.01, ArrowRight: 0.01}[event.key];
      if (!steps || event.ctrlKey || event.metaKey || event.altKey || view.scrollWidth > view.clientWidth) return;
      setShare(state.share + steps);
      event.preventDefault();
      remember();
    });
    document.getElementById('blink').addEventListener('click', () => { blink(); remember(); });
    const keys = {
      'b': blink,
      '+': () => zoomBy(1.5),
      '=': () => zoomBy(1.5),
      '-': () => zoomBy(1 / 1.5),
      '0': () => zoom('fit'),
      'Escape': () => show(null),
    };
    document.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      keys[event.key]();
      event.preventDefault();
      remember();
    });
    zooms.forEach((button) => button.addEventListener('click', () => {
      zoom(button.dataset.zoom);
      remember();
    }));
    window.addEventListener('resize', () => zoom(state.zoom));
    const {left: scrolledLeft, top: scrolledTop} = state;
    zoom(state.zoom);
    view.scrollTo(scrolledLeft, scrolledTop);
    show(state.only || null);
    if (against && state.against) compareWith(true);
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
