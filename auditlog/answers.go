package auditlog

import "bytes"

// Answers of engines that keep events as text: Loki's streams, whose values are
// pairs of a time and a line, and tables, whose columns are named once.

// isStamped tells whether the list at w.i is an entry of Loki: a text of digits,
// the line, and perhaps an object of its own labels.
func (w *walker) isStamped() bool {
	ahead := walker{b: w.b, i: w.i + 1}
	if ahead.peek() != '"' {
		return false
	}
	at, _, err := ahead.raw()
	if err != nil || len(at) == 0 || len(bytes.Trim(at, "0123456789")) > 0 || ahead.peek() != ',' {
		return false
	}
	ahead.i++
	return ahead.peek() == '"'
}

// stamped decodes such an entry.
func (d *decoder) stamped(w *walker, wraps int) error {
	return w.array(func() error {
		if w.peek() != '"' || wraps >= maxWraps {
			return w.skip()
		}
		s, err := w.value()
		if err == nil {
			err = d.packed("", s, wraps+1)
		}
		return err
	})
}

// isRows tells whether a key is of the rows of a table whose columns stand beside
// them: Azure's and Kusto's tables, OpenSearch's and Elasticsearch's SQL, Splunk.
func isRows(key string) bool { return key == "rows" || key == "Rows" || key == "datarows" }

// isColumns tells whether a key is of the names of such columns.
func isColumns(key []byte) bool {
	switch string(key) {
	case "columns", "Columns", "schema", "fields":
		return true
	}
	return false
}

// rows decodes a table's rows: each is made an object, whose keys are the names.
func (d *decoder) rows(columns, rows []byte, wraps int) error {
	keys, err := columnNames(columns)
	if err != nil || len(keys) == 0 {
		_, err := d.document(rows, wraps)
		return err
	}
	w := walker{b: rows}
	return w.array(func() error {
		if w.peek() != '[' {
			d.other++
			return w.skip()
		}
		from, n := len(d.text), 0
		err := w.array(func() error {
			cell, err := w.value()
			if n < len(keys) {
				d.text = append(append(append(append(d.text, ','), keys[n]...), ':'), cell...)
			}
			n++
			return err
		})
		if err != nil || n == 0 {
			return err
		}
		d.text = append(d.text, '}')
		object := d.text[from:len(d.text):len(d.text)]
		object[0] = '{'
		_, err = d.document(object, wraps)
		return err
	})
}

// columnNames reads the names of columns, quoted: a list of texts, or of objects
// that hold them.
func columnNames(columns []byte) (keys [][]byte, err error) {
	w := walker{b: columns}
	if w.peek() != '[' {
		return nil, nil
	}
	err = w.array(func() error {
		name := []byte(`""`)
		if w.peek() != '{' {
			v, err := w.value()
			if len(v) > 0 && v[0] == '"' {
				name = v
			}
			keys = append(keys, name)
			return err
		}
		err := w.object(func(key []byte) error {
			v, err := w.value()
			if k := string(key); (k == "name" || k == "ColumnName") && len(v) > 0 && v[0] == '"' {
				name = v
			}
			return err
		})
		keys = append(keys, name)
		return err
	})
	return keys, err
}

// bytesOf decodes a list of numbers, as journalctl writes a text that is not all
// printable.
func (d *decoder) bytesOf(list []byte) []byte {
	from := len(d.text)
	w := walker{b: list}
	err := w.array(func() error {
		v, err := w.value()
		n, ok := digits(v)
		if err != nil || !ok || n > 255 || len(v) > 3 {
			return errSyntax
		}
		d.text = append(d.text, byte(n))
		return nil
	})
	if err != nil {
		return nil
	}
	return d.text[from:len(d.text):len(d.text)]
}
