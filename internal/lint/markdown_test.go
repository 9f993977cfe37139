package lint_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A block is a fenced piece of a Markdown file.
type block struct {
	language string
	line     int // of its first line, from 1
	text     string
}

var (
	fence      = regexp.MustCompile("^(\\s*)(```+|~~~+)\\s*(\\w*)")
	inlineCode = regexp.MustCompile("`[^`]*`")
	link       = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|^\[[^\]]+\]:\s+(\S+)`)
	heading    = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}\-_ ]`)
)

// split separates the fenced blocks of a Markdown text from its prose. The prose
// keeps its line numbers: blocks are empty lines in it.
func split(text string) (prose []string, blocks []block) {
	end, indent := "", ""
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case end == "" && m != nil:
			indent, end = m[1], m[2]
			blocks = append(blocks, block{language: m[3], line: i + 2})
			line = ""
		case end != "" && strings.TrimSpace(line) == end:
			end, line = "", ""
		case end != "":
			blocks[len(blocks)-1].text += strings.TrimPrefix(line, indent) + "\n"
			line = ""
		}
		prose = append(prose, line)
	}
	return prose, blocks
}

// slugs lists the fragments that headings can be linked by, as GitHub makes them.
func slugs(prose []string) (found []string) {
	times := make(map[string]int)
	for _, line := range prose {
		if m := heading.FindStringSubmatch(line); m != nil {
			slug := strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
			if times[slug]++; times[slug] > 1 {
				slug = fmt.Sprintf("%s-%d", slug, times[slug]-1)
			}
			found = append(found, slug)
		}
	}
	return found
}

// brokenLinks lists the links within the repository that lead nowhere.
func brokenLinks(files []file) (broken []string) {
	there := map[string]bool{".": true} // files and folders
	fragments := make(map[string][]string)
	for _, f := range files {
		for at := f.path; at != "."; at = path.Dir(at) {
			there[at] = true
		}
		if path.Ext(f.path) == ".md" {
			prose, _ := split(string(f.text))
			fragments[f.path] = slugs(prose)
		}
	}
	for _, f := range files {
		if path.Ext(f.path) != ".md" || !f.written() {
			continue
		}
		prose, _ := split(string(f.text))
		for i, line := range prose {
			for _, m := range link.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, "code"), -1) {
				target := m[1] + m[2]
				if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
					continue
				}
				to, fragment, _ := strings.Cut(target, "#")
				at := f.path
				if to != "" {
					at = path.Join(path.Dir(f.path), to)
				}
				switch {
				case strings.HasPrefix(to, "/") || !there[at]:
					broken = append(broken, fmt.Sprintf("%s:%d: %s leads nowhere", f.path, i+1, target))
				case fragment != "" && path.Ext(at) == ".md" && !slices.Contains(fragments[at], fragment):
					broken = append(broken, fmt.Sprintf("%s:%d: %s: %s has no such heading", f.path, i+1, target, at))
				}
			}
		}
	}
	return broken
}

func TestLinks(t *testing.T) {
	files, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range brokenLinks(files) {
		t.Error(b)
	}
}

func TestBrokenLinksAreFound(t *testing.T) {
	files := []file{
		{"LICENSE", nil},
		{"docs/a.md", []byte("# The *title*, `x.Y` & more\n## Twice\n## Twice\n")},
		{"README.md", []byte("[ok](LICENSE) [ok](docs/) [ok](docs/a.md#twice-1) [ok](#own) [web](https://example.com/x)\n" +
			"`[no](link)`\n```md\n[no](link)\n# fenced\n```\n## Own\n" +
			"[bad](LICENCE) ![bad](docs/b.png \"title\")\n[bad](docs/a.md#twice-2) [bad](#fenced)\n[ok](docs/a.md#the-title-xy--more)\n[ref]: docs/c.md\n[bad](/LICENSE)\n")},
	}
	want := []string{
		"README.md:8: LICENCE leads nowhere", "README.md:8: docs/b.png leads nowhere",
		"README.md:9: docs/a.md#twice-2: docs/a.md has no such heading", "README.md:9: #fenced: README.md has no such heading",
		"README.md:11: docs/c.md leads nowhere", "README.md:12: /LICENSE leads nowhere",
	}
	if got := brokenLinks(files); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
