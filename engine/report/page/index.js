'use strict';
(() => {
  // Sorting: the first press orders names upwards and numbers downwards, the next one the other way round. Rows without
  // a value stay last.
  const table = document.querySelector('.index'), body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector('button');
    if (!button) return;
    button.addEventListener('click', () => {
      const isNumber = head.classList.contains('number'), was = head.getAttribute('aria-sort');
      const up = was ? was === 'descending' : !isNumber;
      const value = (row) => {
        const text = row.cells[column].dataset.value;
        return text === undefined ? undefined : isNumber ? Number(text) : text;
      };
      const compare = (a, b) => {
        const x = value(a), y = value(b);
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        const order = isNumber ? x - y : x.localeCompare(y, undefined, {numeric: true});
        return up ? order : -order;
      };
      body.append(...[...body.rows].sort(compare));
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    });
  });
})();
