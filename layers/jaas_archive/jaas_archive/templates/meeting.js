"use strict";
(() => {
  const $ = (id) => document.getElementById(id);

  // Times in the reader's own zone; the record's time stays as a tooltip.
  const formats = {
    day: { weekday: "long", day: "numeric", month: "long", year: "numeric" },
    hour: { hour: "2-digit", minute: "2-digit" },
  };
  for (const time of document.querySelectorAll("time[data-local]")) {
    const format = new Intl.DateTimeFormat(time.dataset.local === "day" ? "en-GB" : undefined, formats[time.dataset.local]);
    time.title = time.dateTime;
    time.textContent = format.format(new Date(time.dateTime));
  }
  const zone = document.querySelector("[data-local=zone]");
  const start = document.querySelector("time[data-local=hour]");
  if (zone && start) {
    const parts = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(new Date(start.dateTime));
    zone.textContent = parts.find((part) => part.type === "timeZoneName").value;
  }

  // Opened without its neighbours, as from the S3 console, the page has no pictures to show.
  const shots = $("shots");
  if (shots) {
    const missing = () => { shots.hidden = true; $("shots-note").hidden = false; };
    shots.addEventListener("error", missing, true);
    if ([...shots.querySelectorAll("img")].some((image) => image.complete && !image.naturalWidth)) missing();
  }

  const lines = $("lines");
  if (!lines) return;
  const rows = [...lines.querySelectorAll("li")];

  // --- search and filters
  const query = $("query"), voice = $("voice"), found = $("found"), nothing = $("nothing"), form = $("filters");
  const plain = (text) => text.normalize("NFKD").replace(/\p{Mn}/gu, "").toLowerCase();
  let texts = null;

  const filter = () => {
    const words = plain(query.value).split(/\s+/).filter(Boolean);
    const source = form.elements.source.value;
    if (words.length && !texts) {
      texts = rows.map((row) => plain(row.querySelector("bdi").textContent + "\n" + row.querySelector(".text").textContent));
    }
    let count = 0;
    const hits = [];
    rows.forEach((row, number) => {
      const fits = (!voice.value || row.dataset.v === voice.value)
        && (!source || row.classList.contains(source))
        && words.every((word) => texts[number].includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      if (fits) {
        count += 1;
        if (words.length && hits.length < 400) hits.push(row);
      }
    });
    const filtered = Boolean(words.length || voice.value || source);
    lines.classList.toggle("filtered", filtered);
    nothing.hidden = count > 0;
    found.textContent = filtered ? `${count} of ${rows.length} lines` : "";
    for (const list of lines.querySelectorAll("ol")) {
      list.hidden = filtered && !list.querySelector("li:not([hidden])");
    }
    mark(hits, query.value.toLowerCase().split(/\s+/).filter(Boolean));
  };

  const mark = (hits, words) => {
    if (!("highlights" in CSS)) return;
    const ranges = [];
    for (const row of hits) {
      const text = row.querySelector(".text").firstChild;
      const lower = text ? text.data.toLowerCase() : "";
      if (!text || lower.length !== text.data.length) continue;
      for (const word of words) {
        for (let at = lower.indexOf(word); at >= 0 && ranges.length < 2000; at = lower.indexOf(word, at + word.length)) {
          const range = new Range();
          range.setStart(text, at);
          range.setEnd(text, at + word.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set("found", new Highlight(...ranges));
  };

  let waiting = 0;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 80);
  };
  const clear = () => {
    form.reset();
    filter();
    query.focus();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  query.addEventListener("input", soon);
  voice.addEventListener("change", filter);
  form.addEventListener("change", (event) => {
    if (event.target.name === "source") filter();
  });
  $("clear").addEventListener("click", clear);
  document.addEventListener("keydown", (event) => {
    const typing = /^(input|select|textarea)$/i.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      query.focus();
      query.select();
    } else if (event.key === "Escape" && event.target === query) {
      clear();
    }
  });
  // A reload keeps what the form holds.
  filter();

  // --- the recording
  const video = $("video"), part = $("recording"), note = $("player-note");
  if (!video) return;
  const moments = rows.filter((row) => row.dataset.j).map((row) => {
    const [number, seconds] = row.dataset.j.split(":");
    return { row, part: Number(number), seconds: Number(seconds) };
  });
  let loaded = -1;

  const load = (number) => {
    if (loaded === number) return;
    loaded = number;
    part.selectedIndex = number;
    video.hidden = false;
    video.preload = "metadata";
    video.src = part.options[number].value;
    captions(number);
  };
  const captions = (number) => {
    for (const track of video.textTracks) track.mode = "disabled";
    const track = video.addTextTrack("captions", part.options.length > 1 ? `Transcript ${number + 1}` : "Transcript");
    const spoken = moments.filter((moment) => moment.part === number && moment.row.classList.contains("speech"));
    spoken.forEach((moment, index) => {
      const name = moment.row.querySelector("bdi").textContent, text = moment.row.querySelector(".text").textContent;
      const next = index + 1 < spoken.length ? spoken[index + 1].seconds : Infinity;
      const end = Math.min(moment.seconds + Math.min(7, Math.max(1.2, text.length * 0.065)), Math.max(next, moment.seconds + 0.1));
      const cue = new VTTCue(moment.seconds, end, "");
      cue.text = `${name}: ${text}`.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
      track.addCue(cue);
    });
    track.mode = "hidden";
  };
  const jump = (moment) => {
    load(moment.part);
    const go = () => {
      video.currentTime = moment.seconds;
      video.play().catch(() => {});
    };
    if (video.readyState >= 1) go();
    else video.addEventListener("loadedmetadata", go, { once: true });
    show(moment.row);
  };
  let current = null;
  const show = (row) => {
    if (row === current) return;
    if (current) {
      current.classList.remove("now");
      current.removeAttribute("aria-current");
    }
    current = row;
    if (row) {
      row.classList.add("now");
      row.setAttribute("aria-current", "true");
    }
  };
  lines.addEventListener("click", (event) => {
    const button = event.target.closest("li button");
    if (button) jump(moments.find((moment) => moment.row === button.parentElement));
  });
  video.addEventListener("timeupdate", () => {
    const now = video.currentTime + 0.05;
    let last = null;
    for (const moment of moments) if (moment.part === loaded && moment.seconds <= now) last = moment.row;
    if (last) show(last);
  });
  video.addEventListener("error", () => {
    note.textContent = "The recording does not lie beside this page. Download the whole folder and open the page from there to play it.";
    video.hidden = true;
    loaded = -1;
  });
  video.addEventListener("play", () => {
    if (loaded < 0) load(part.selectedIndex);
  });
  part.addEventListener("change", () => load(part.selectedIndex));
  // From disk the recording lies beside the page. In the S3 console only this page was opened: asking for more is
  // the reader's choice.
  if (location.protocol === "file:") load(0);
  else video.addEventListener("pointerdown", () => load(part.selectedIndex), { once: true });
})();
